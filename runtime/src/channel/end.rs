//! One end of a queue: how messages get into the ring and out of it, and what is waited for.

use super::{carrier::Carrier, parcel::Parcel, ring::Ring};
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
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// What the handles of one end have in one process.
#[derive(Debug)]
pub(super) struct End<S> {
    pub(super) ring: Arc<Ring>,
    carrier: Carrier,
    patience: Patience,
    made: Instant,
    /// How many nanoseconds after that somebody was last seen at the other side.
    seen: AtomicU64,
    side: S,
}

/// What an end has on its side alone.
pub(super) trait Side: Sized {
    /// Makes it.
    fn new(ring: &Ring, carrier: &Carrier) -> io::Result<Self>;
}

/// The side of the senders.
#[derive(Debug)]
pub(super) struct Sending;

/// The side of the receivers.
#[derive(Debug)]
pub(super) struct Receiving {
    /// Readable when the bell for receivers rings, or all senders are gone.
    readiness: Readiness,
}

impl Side for Sending {
    fn new(_: &Ring, _: &Carrier) -> io::Result<Self> {
        Ok(Self)
    }
}

impl Side for Receiving {
    fn new(ring: &Ring, carrier: &Carrier) -> io::Result<Self> {
        // Made here, where it can fail, and not when it is asked for.
        let readiness = Readiness::new(ring.arrival(), carrier.as_fd())?;
        Ok(Self { readiness })
    }
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

/// What a sender waits for, after so many messages were received.
enum Blocked {
    /// That another is received.
    Ring(u64),
    /// The same, or room for descriptors.
    Carrier(u64),
}

/// What came of an attempt to receive.
enum Attempt {
    Received(Parcel),
    /// There is no message.
    Nothing,
    /// Somebody else received all the while: there may be messages.
    Busy,
}

impl<S: Side> End<S> {
    pub(super) fn new(ring: Arc<Ring>, carrier: Carrier) -> io::Result<Self> {
        Ok(Self {
            side: S::new(&ring, &carrier)?,
            ring,
            carrier,
            patience: Patience::default(),
            made: Instant::now(),
            // Nobody has looked yet.
            seen: AtomicU64::new(u64::MAX / 2),
        })
    }

    pub(super) fn open([memory, arrival, room, carrier]: Parts) -> io::Result<Self> {
        let ring = Ring::open(memory.0, arrival.0, room.0)?;
        Self::new(Arc::new(ring), Carrier::open(carrier.0))
    }

    pub(super) fn parts(&self) -> [Fd<BorrowedFd<'_>>; 4] {
        let [memory, arrival, room] = self.ring.parts();
        [memory, arrival, room, self.carrier.as_fd()].map(Fd)
    }

    pub(super) fn len(&self) -> usize {
        usize::try_from(self.ring.len()).unwrap_or(usize::MAX)
    }
}

/// The descriptors of a handle: the memory, the two bells, and the carrier.
pub(super) type Parts = [Fd<OwnedFd>; 4];

impl End<Sending> {
    pub(super) fn send<T: Transfer>(
        &self,
        message: &T,
        deadline: Option<Instant>,
    ) -> Result<(), Unsent> {
        let parcel = Parcel::pack(message, self.ring.longest()).map_err(Unsent::Failed)?;
        let unsent = |source| Unsent::Failed(Error::os("a queue cannot be sent to", source));
        loop {
            if self.nobody_receives().map_err(unsent)? {
                return Err(Unsent::Disconnected);
            }
            let Some(blocked) = self.attempt_send(&parcel, deadline)? else {
                return Ok(());
            };
            if is_past(deadline) {
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
        let sending = self.ring.send(at_least_a_moment(deadline));
        let Some(sending) = sending.map_err(failed)? else {
            return Ok(Some(Blocked::Ring(received)));
        };
        let Some(room) = sending.room() else {
            return Ok(Some(Blocked::Ring(received)));
        };
        let mut packet = 0;
        if !parcel.fds.is_empty() {
            packet = sending.announce_packet();
            step!();
            match self.carrier.send(packet, &parcel.fds) {
                Ok(()) => {}
                Err(error) => {
                    return match error.kind() {
                        io::ErrorKind::WouldBlock => Ok(Some(Blocked::Carrier(received))),
                        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                            Err(Unsent::Disconnected)
                        }
                        _ => Err(failed(error)),
                    };
                }
            }
        }
        sending.publish(room, &parcel.bytes, packet, parcel.form);
        Ok(None)
    }

    fn wait_for_room(&self, blocked: &Blocked, deadline: Option<Instant>) -> io::Result<()> {
        let (received, carrier) = match blocked {
            Blocked::Ring(received) => (*received, For::End),
            Blocked::Carrier(received) => (*received, For::Writing),
        };
        if self.patience.wait(|| self.ring.received() != received) {
            return Ok(());
        }
        let Some(receiving) = self.ring.receive(at_least_a_moment(deadline))? else {
            return Ok(());
        };
        let is_full = receiving.prepare_for_room(received)?;
        drop(receiving);
        if is_full {
            let fds = [
                (self.ring.room(), For::Reading),
                (self.carrier.as_fd(), carrier),
            ];
            wait::until_ready(&fds, deadline)?;
        }
        Ok(())
    }
}

impl End<Receiving> {
    pub(super) fn receive(&self, deadline: Option<Instant>) -> Result<Parcel, Unreceived> {
        loop {
            match self.attempt_receive(deadline)? {
                Attempt::Received(parcel) => return Ok(parcel),
                Attempt::Busy if is_past(deadline) => return Err(Unreceived::Empty),
                Attempt::Busy => continue,
                Attempt::Nothing => {}
            }
            let is_late = is_past(deadline);
            let is_over = if is_late {
                self.carrier.is_alone().map_err(failed)?
            } else {
                let has_come = self.wait_for_arrival(deadline).map_err(failed)?;
                !has_come && self.carrier.is_alone().map_err(failed)?
            };
            if !is_over && !is_late {
                continue;
            }
            // What was sent before the last sender went, and before the deadline, is received.
            match self.attempt_receive(deadline)? {
                Attempt::Received(parcel) => return Ok(parcel),
                Attempt::Nothing if is_over => return Err(Unreceived::Disconnected),
                Attempt::Nothing => {
                    // The bell rings before a message is there: then it has come meanwhile.
                    if self.tidy().map_err(failed)?
                        && let Attempt::Received(parcel) = self.attempt_receive(deadline)?
                    {
                        return Ok(parcel);
                    }
                    return Err(Unreceived::Empty);
                }
                Attempt::Busy if is_past(deadline) => return Err(Unreceived::Empty),
                Attempt::Busy => {}
            }
        }
    }

    /// Receives a message if there is one.
    fn attempt_receive(&self, deadline: Option<Instant>) -> Result<Attempt, Unreceived> {
        loop {
            let receiving = self.ring.receive(at_least_a_moment(deadline));
            let Some(receiving) = receiving.map_err(failed)? else {
                return Ok(Attempt::Busy);
            };
            let Some(entry) = receiving.next().map_err(failed)? else {
                return Ok(Attempt::Nothing);
            };
            let bytes = match receiving.copy(&entry) {
                // There may be memory another time.
                Err(error) if error.kind() == io::ErrorKind::OutOfMemory => {
                    return Err(failed(error));
                }
                bytes => bytes,
            };
            let mut fds = Ok(Some(Vec::new()));
            if entry.packet != 0 {
                step!();
                fds = self.carrier.receive(entry.packet);
                receiving.packet_taken(entry.packet);
            }
            receiving.finish();
            if self.ring.is_watched() && self.ring.is_empty() {
                // Who sends now is about to ring. And a stopped one is not waited for with a message in hand.
                self.silence(Instant::now());
            }
            // Without its descriptors somebody had it in hand, and died.
            if let Some(fds) = fds.map_err(failed)? {
                let bytes = bytes.map_err(failed)?;
                let form = entry.form;
                return Ok(Attempt::Received(Parcel { bytes, fds, form }));
            }
        }
    }

    /// Waits until there may be a message; returns whether that is so, rather than that nobody can send one any more.
    fn wait_for_arrival(&self, deadline: Option<Instant>) -> io::Result<bool> {
        if self.patience.wait(|| !self.ring.is_empty()) {
            return Ok(true);
        }
        let Some(sending) = self.ring.send(at_least_a_moment(deadline))? else {
            return Ok(true);
        };
        if !sending.prepare_for_arrival()? {
            return Ok(true);
        }
        if self.ring.may_have_strays() {
            self.carrier.drain();
            sending.all_packets_taken();
        }
        drop(sending);
        let fds = [
            (self.ring.arrival(), For::Reading),
            (self.carrier.as_fd(), For::End),
        ];
        let ready = wait::until_ready(&fds, deadline)?;
        Ok(ready != [false, true])
    }

    /// Removes what one who died while it sent may have left in a queue that is empty; returns whether one who lives has sent a message
    /// meanwhile.
    fn tidy(&self) -> io::Result<bool> {
        let is_rung = || wait::readable(self.ring.arrival(), Some(Instant::now()));
        let is_untidy = self.ring.may_have_strays() || self.ring.is_watched() && is_rung()?;
        if !is_untidy {
            return Ok(false);
        }
        // Its holder, if it is stopped, keeps what it is about to send, and everybody from looking more often than this.
        let Some(sending) = self.ring.send(Some(Instant::now() + MOMENT))? else {
            return Ok(false);
        };
        if self.ring.is_empty() && self.ring.may_have_strays() {
            self.carrier.drain();
            sending.all_packets_taken();
        }
        sending.silence_if_empty()?;
        Ok(!self.ring.is_empty())
    }

    /// Silences the bell that somebody watches, if there is no message any more, and the lock is to be had.
    fn silence(&self, deadline: Instant) {
        // If it fails somebody looks once too often.
        if let Ok(Some(sending)) = self.ring.send(Some(deadline)) {
            let _ = sending.silence_if_empty();
        }
    }

    /// What is readable when there is a message, or nobody is left to send one.
    pub(super) fn readiness(&self) -> BorrowedFd<'_> {
        if !self.ring.is_watched() {
            let sending = self.ring.send(Some(Instant::now() + MOMENT));
            let watched =
                sending.is_ok_and(|sending| sending.is_some_and(|sending| sending.watch().is_ok()));
            if !watched {
                self.ring.watch_without_lock();
            }
        }
        self.side.readiness.as_fd()
    }
}

fn failed(source: io::Error) -> Unreceived {
    const WHAT: &str = "a queue cannot be received from";
    Unreceived::Failed(match source.kind() {
        io::ErrorKind::InvalidData => Error::new(ErrorKind::Decode, WHAT).because(source),
        _ => Error::os(WHAT, source),
    })
}

fn is_past(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| deadline <= Instant::now())
}

/// A deadline for a lock that others hold for moments only, unless they are stopped.
fn at_least_a_moment(deadline: Option<Instant>) -> Option<Instant> {
    deadline.map(|deadline| deadline.max(Instant::now() + MOMENT))
}
