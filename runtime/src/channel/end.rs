//! One end of a queue: sends messages to the ring, receives them from it, and waits.

use super::{carrier::Carrier, parcel::Parcel, ring::Ring};
use crate::{
    error::{Error, ErrorKind},
    sys::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        readiness::Readiness,
        step::step,
        wait::{self, For, Patience},
    },
    wire::{Fd, Transfer},
};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// The state of one end. A handle and its clones in one process share it.
#[derive(Debug)]
pub(super) struct End<S> {
    pub(super) ring: Arc<Ring>,
    carrier: Carrier,
    patience: Patience,
    made: Instant,
    /// When the other side was last known to have an open handle, in nanoseconds after `made`.
    seen: AtomicU64,
    side: S,
}

/// The state that only one of the two sides has.
pub(super) trait Side: Sized {
    /// Makes the state of this side.
    fn new(ring: &Ring, carrier: &Carrier) -> io::Result<Self>;
}

/// The side of the senders.
#[derive(Debug)]
pub(super) struct Sending;

/// The side of the receivers.
#[derive(Debug)]
pub(super) struct Receiving {
    /// Readable while the bell for receivers rings, or if no sender is left.
    readiness: Readiness,
}

impl Side for Sending {
    fn new(_: &Ring, _: &Carrier) -> io::Result<Self> {
        Ok(Self)
    }
}

impl Side for Receiving {
    fn new(ring: &Ring, carrier: &Carrier) -> io::Result<Self> {
        // Made here, because `as_fd` cannot fail.
        let readiness = Readiness::new(ring.arrival(), carrier.as_fd())?;
        Ok(Self { readiness })
    }
}

/// How long an attempt that must not block waits for a lock. Others hold a lock for moments only,
/// unless they are stopped.
const MOMENT: Duration = Duration::from_millis(100);

/// How long one liveness check of the receivers stays valid. A message that is sent within this
/// time after the last receiver is gone is lost, like the messages before it.
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

/// What a sender waits for. The number is how many messages had been received when it found no
/// room.
enum Blocked {
    /// Until another message is received.
    Ring(u64),
    /// Until another message is received, or the carrier has room for descriptors.
    Carrier(u64),
}

/// The result of an attempt to receive.
enum Attempt {
    Received(Parcel),
    /// There is no message.
    Nothing,
    /// Another thread or process held the receivers' lock the whole time, so there may be messages.
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
            // Far from any time that `made.elapsed()` gives: the receivers have not been checked
            // yet.
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

/// The descriptors of a handle: the memory, the bells for arrival and for room, and the carrier.
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

    /// Whether all receivers are gone. If a check finds a receiver, the next one waits for
    /// [`FRESH`].
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

    /// Sends a message if there is room. Otherwise returns what is missing.
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
            step();
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
            // A message may have been sent after the first attempt, but before the last sender went
            // or before the deadline. It must still be received.
            match self.attempt_receive(deadline)? {
                Attempt::Received(parcel) => return Ok(parcel),
                Attempt::Nothing if is_over => return Err(Unreceived::Disconnected),
                Attempt::Nothing => {
                    // A sender rings before its message is in the queue: the message may have
                    // arrived meanwhile.
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
                // The message stays in the queue: there may be memory later.
                Err(error) if error.kind() == io::ErrorKind::OutOfMemory => {
                    return Err(failed(error));
                }
                bytes => bytes,
            };
            let mut fds = Ok(Some(Vec::new()));
            if entry.packet != 0 {
                step();
                fds = self.carrier.receive(entry.packet);
                receiving.packet_taken(entry.packet);
            }
            receiving.finish();
            if self.ring.is_watched() && self.ring.is_empty() {
                // The deadline is now, so this does not wait for the lock. If a sender holds it, it
                // will ring anyway. And if that sender is stopped, the message that was just taken
                // must not be delayed.
                self.silence(Instant::now());
            }
            // If the descriptors are missing, another receiver took them and died: the message is
            // lost with that receiver. Receive the next one.
            if let Some(fds) = fds.map_err(failed)? {
                let bytes = bytes.map_err(failed)?;
                let form = entry.form;
                return Ok(Attempt::Received(Parcel { bytes, fds, form }));
            }
        }
    }

    /// Waits until there may be a message, or no sender is left. Returns false only if no sender is
    /// left and the bell is silent.
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

    /// Cleans an empty queue after a sender that died while it sent: drops stray packets and
    /// silences the bell. Returns whether a message has arrived meanwhile.
    fn tidy(&self) -> io::Result<bool> {
        let is_rung = || wait::readable(self.ring.arrival(), Some(Instant::now()));
        let is_untidy = self.ring.may_have_strays() || self.ring.is_watched() && is_rung()?;
        if !is_untidy {
            return Ok(false);
        }
        // If the holder of the lock is stopped, the bell cannot be silenced. Then this wait slows
        // down a caller that looks again as long as the bell rings.
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

    /// Silences the watched bell if the queue is empty. Does nothing if the lock is not free before
    /// the deadline.
    fn silence(&self, deadline: Instant) {
        // If this fails, a watcher looks once too often.
        if let Ok(Some(sending)) = self.ring.send(Some(deadline)) {
            let _ = sending.silence_if_empty();
        }
    }

    /// A descriptor that is readable while there is a message, or if no sender is left. From the
    /// first call on, senders ring for every message.
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

/// Returns a deadline for taking a lock: at least [`MOMENT`] from now. Others hold the locks for
/// moments only, unless they are stopped.
fn at_least_a_moment(deadline: Option<Instant>) -> Option<Instant> {
    deadline.map(|deadline| deadline.max(Instant::now() + MOMENT))
}
