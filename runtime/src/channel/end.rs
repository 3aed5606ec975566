//! One end of a queue: how messages get into the ring and out of it, and what is waited for.

use super::{
    carrier::{self, Carrier},
    parcel::Parcel,
    ring::Ring,
};
use crate::{
    Fd, Transfer,
    error::{Error, ErrorKind},
    sys::{
        readiness::Readiness,
        wait::{self, For, Patience},
    },
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// What the handles of one end have in one process.
#[derive(Debug)]
pub(super) struct End {
    pub(super) ring: Arc<Ring>,
    carrier: Carrier,
    patience: Patience,
    made: Instant,
    /// How many nanoseconds after that somebody was last seen at the other side.
    seen: AtomicU64,
    readiness: OnceLock<Readiness>,
}

/// How long an attempt that does not wait for others waits for their locks, which they hold for moments.
const MOMENT: Duration = Duration::from_millis(100);

/// How long a look at the other side is good for. A message that is sent within it, after the last receiver went, is lost like those that
/// were sent before.
const FRESH: Duration = Duration::from_micros(20);

/// Why a message was not sent.
pub(super) enum Unsent {
    Full,
    Disconnected,
    Failed(Error),
}

/// Why no message was received.
pub(super) enum Unreceived {
    Empty,
    Disconnected,
    Failed(Error),
}

/// What a sender waits for.
enum Blocked {
    /// That somebody receives, after so many were.
    Ring(u64),
    /// That somebody receives descriptors.
    Carrier,
}

impl End {
    pub(super) fn new(ring: Arc<Ring>, carrier: Carrier) -> Self {
        Self {
            ring,
            carrier,
            patience: Patience::default(),
            made: Instant::now(),
            // Nobody has looked yet.
            seen: AtomicU64::new(u64::MAX / 2),
            readiness: OnceLock::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        usize::try_from(self.ring.len()).unwrap_or(usize::MAX)
    }

    pub(super) fn send<T: Transfer<Via>, Via>(
        &self,
        message: &T,
        deadline: Option<Instant>,
    ) -> Result<(), Unsent> {
        let parcel = Parcel::pack(message, self.ring.longest()).map_err(Unsent::Failed)?;
        if parcel.fds.len() > carrier::MOST {
            let what = format!(
                "a message with {} descriptors: it can have {}",
                parcel.fds.len(),
                carrier::MOST
            );
            return Err(Unsent::Failed(Error::new(ErrorKind::Encode, what)));
        }
        let unsent = |source| Unsent::Failed(Error::os("a queue cannot be sent to", source));
        loop {
            if self.nobody_receives().map_err(unsent)? {
                return Err(Unsent::Disconnected);
            }
            let Some(blocked) = self.attempt_send(&parcel, deadline)? else {
                return Ok(());
            };
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Err(Unsent::Full);
            }
            self.wait_for_room(&blocked, deadline).map_err(unsent)?;
        }
    }

    /// Whether all receivers are gone. Of those that were there a moment ago nobody is asked.
    fn nobody_receives(&self) -> io::Result<bool> {
        let now = u64::try_from(self.made.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let fresh = u64::try_from(FRESH.as_nanos()).unwrap_or(u64::MAX);
        if now.wrapping_sub(self.seen.load(Ordering::Relaxed)) < fresh {
            return Ok(false);
        }
        let is_alone = self.carrier.is_alone()?;
        if !is_alone {
            self.seen.store(now, Ordering::Relaxed);
        }
        Ok(is_alone)
    }

    /// Sends a message if there is room; returns what is in the way if there is none.
    fn attempt_send(
        &self,
        parcel: &Parcel,
        deadline: Option<Instant>,
    ) -> Result<Option<Blocked>, Unsent> {
        let failed = |source| Unsent::Failed(Error::os("a queue cannot be sent to", source));
        let received = self.ring.received();
        let sending = self
            .ring
            .send(at_least_a_moment(deadline))
            .map_err(failed)?;
        let Some(sending) = sending.filter(|sending| sending.has_room(parcel.bytes.len())) else {
            return Ok(Some(Blocked::Ring(received)));
        };
        let mut packet = 0;
        if !parcel.fds.is_empty() {
            packet = sending.next_packet();
            step!();
            match self.carrier.send(packet, &parcel.fds) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Some(Blocked::Carrier));
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
                    ) =>
                {
                    return Err(Unsent::Disconnected);
                }
                Err(error) => return Err(failed(error)),
            }
        }
        sending.publish(&parcel.bytes, packet, parcel.spilled);
        Ok(None)
    }

    fn wait_for_room(&self, blocked: &Blocked, deadline: Option<Instant>) -> io::Result<()> {
        let carrier = self.carrier.as_fd();
        match blocked {
            Blocked::Carrier => wait::until_ready(&[(carrier, For::Writing)], deadline)?,
            Blocked::Ring(received) => {
                if self.patience.wait(|| self.ring.received() != *received) {
                    return Ok(());
                }
                let receiving = self.ring.receive(at_least_a_moment(deadline))?;
                let Some(receiving) = receiving else {
                    return Ok(());
                };
                let is_full = receiving.prepare_for_room(*received)?;
                drop(receiving);
                if !is_full {
                    return Ok(());
                }
                let fds = [(self.ring.room(), For::Reading), (carrier, For::End)];
                wait::until_ready(&fds, deadline)?
            }
        };
        Ok(())
    }

    pub(super) fn receive(&self, deadline: Option<Instant>) -> Result<Parcel, Unreceived> {
        let failed =
            |source| Unreceived::Failed(Error::os("a queue cannot be received from", source));
        loop {
            // Before the look at the queue: what was sent before the last sender went is found by it.
            let mut is_over = false;
            if let Some(parcel) = self.attempt_receive(deadline).map_err(failed)? {
                return Ok(parcel);
            }
            let is_late = deadline.is_some_and(|deadline| deadline <= Instant::now());
            if is_late || !self.wait_for_arrival(deadline).map_err(failed)? {
                is_over = self.carrier.is_alone().map_err(failed)?;
            }
            if !is_over && !is_late {
                continue;
            }
            if let Some(parcel) = self.attempt_receive(deadline).map_err(failed)? {
                return Ok(parcel);
            }
            return Err(if is_over {
                Unreceived::Disconnected
            } else {
                Unreceived::Empty
            });
        }
    }

    /// Receives a message if there is one.
    fn attempt_receive(&self, deadline: Option<Instant>) -> io::Result<Option<Parcel>> {
        loop {
            let Some(receiving) = self.ring.receive(at_least_a_moment(deadline))? else {
                return Ok(None);
            };
            let Some(entry) = receiving.next()? else {
                return Ok(None);
            };
            let bytes = receiving.copy(&entry)?;
            let fds = match entry.packet {
                0 => Ok(Some(Vec::new())),
                packet => self.carrier.receive(packet),
            };
            step!();
            receiving.release(&entry);
            if self.ring.is_watched() {
                self.silence()?;
            }
            // Without them somebody had it in hand, and died.
            if let Some(fds) = fds? {
                return Ok(Some(Parcel {
                    bytes,
                    fds,
                    spilled: entry.spilled,
                }));
            }
        }
    }

    /// Waits until there may be a message; returns whether that is so, rather than that nobody can send one any more.
    fn wait_for_arrival(&self, deadline: Option<Instant>) -> io::Result<bool> {
        let has_come = || self.ring.sent() != self.ring.received();
        if self.patience.wait(has_come) {
            return Ok(true);
        }
        let Some(sending) = self.ring.send(at_least_a_moment(deadline))? else {
            return Ok(true);
        };
        if !sending.prepare_for_arrival()? {
            return Ok(true);
        }
        if sending.has_packets() {
            // All of them are of messages that were never sent.
            self.carrier.drain();
        }
        drop(sending);
        let fds = [
            (self.ring.arrival(), For::Reading),
            (self.carrier.as_fd(), For::End),
        ];
        let ready = wait::until_ready(&fds, deadline)?;
        Ok(ready != [false, true])
    }

    /// Silences the bell that somebody looks at, if there is no message any more.
    fn silence(&self) -> io::Result<()> {
        if let Some(sending) = self.ring.send(at_least_a_moment(None))? {
            sending.silence_if_empty(0)?;
        }
        Ok(())
    }

    /// What is readable when there is a message, or nobody is left to send one.
    pub(super) fn readiness(&self) -> io::Result<BorrowedFd<'_>> {
        if self.readiness.get().is_none() {
            let readiness = Readiness::new(self.ring.arrival(), self.carrier.as_fd())?;
            let _ = self.readiness.set(readiness);
        }
        if !self.ring.is_watched()
            && let Some(sending) = self.ring.send(at_least_a_moment(None))?
        {
            sending.watch()?;
        }
        let readiness = self.readiness.get().ok_or(io::ErrorKind::NotFound)?;
        Ok(readiness.as_fd())
    }
}

/// A deadline for a lock that others hold for moments only, unless they are stopped.
fn at_least_a_moment(deadline: Option<Instant>) -> Option<Instant> {
    deadline.map(|deadline| deadline.max(Instant::now() + MOMENT))
}

/// The descriptors of a handle: the memory, the two bells, and the carrier.
pub(super) type Parts = [Fd<OwnedFd>; 4];

impl End {
    pub(super) fn parts(&self) -> [Fd<BorrowedFd<'_>>; 4] {
        let [memory, arrival, room] = self.ring.parts();
        [memory, arrival, room, self.carrier.as_fd()].map(Fd)
    }

    pub(super) fn open([memory, arrival, room, carrier]: Parts) -> io::Result<Self> {
        let ring = Ring::open(memory.0, arrival.0, room.0)?;
        Ok(Self::new(Arc::new(ring), Carrier::open(carrier.0)))
    }
}
