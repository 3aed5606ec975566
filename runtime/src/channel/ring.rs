//! The memory of a queue: messages one behind the other in a ring, and a table that says where each of them is.
//!
//! # Who changes what
//!
//! There are two locks, both robust. Who holds that of the senders writes messages, and publishes each by one store, of how many
//! were sent. Who holds that of the receivers takes them out, and gives each one's place free by one store, of how many were
//! received. So a process that is killed with a lock has done all of its last step or nothing: a message half written was not sent,
//! and one half read is read again by the next receiver, or is lost to nobody but the one who had it.
//!
//! # Why nobody sleeps while there is something to be had
//!
//! A receiver that finds nothing takes the lock of the senders, looks again, and only then silences the bell and says that it is to
//! be rung. A sender rings under that lock, before it publishes. One that is killed in between has rung for nothing: whoever wakes looks,
//! and before it sleeps again it waits for that lock, which the kernel gives it. In the same way a sender that finds no room takes
//! the lock of the receivers before it sleeps.

use crate::sys::{
    bell::Bell,
    mapping::Mapping,
    robust::{self, Refused, Robust},
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

/// A queue's memory, and its two bells.
#[derive(Debug)]
pub(super) struct Ring {
    mapping: Arc<Mapping>,
    senders: Robust,
    receivers: Robust,
    /// Rung for receivers.
    arrival: Bell,
    /// Rung for senders.
    room: Bell,
    capacity: u64,
    /// How many bytes there are for messages; a power of two.
    size: u64,
}

/// Where a message is, and what came beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The first of its bytes, counted from the beginning of the queue.
    start: u64,
    pub(super) length: u64,
    /// The number of the packet with its descriptors; zero if it has none.
    pub(super) packet: u64,
    /// Whether its bytes are a summary of what is in a memory of its own.
    pub(super) spilled: bool,
}

/// Words of one place each, far enough apart that senders and receivers do not disturb each other.
mod word {
    use super::robust;

    pub(super) const SENDERS: usize = 0;
    pub(super) const RECEIVERS: usize = robust::SIZE;
    pub(super) const SENT: usize = 2 * robust::SIZE;
    pub(super) const WRITE_AT: usize = SENT + 8;
    pub(super) const PACKETS: usize = SENT + 16;
    /// What senders have last seen of `RECEIVED` and `READ_AT`, which they look at when that is not enough.
    pub(super) const SEEN_RECEIVED: usize = SENT + 24;
    pub(super) const SEEN_READ_AT: usize = SENT + 32;
    pub(super) const ARRIVAL: usize = SENT + 64;
    pub(super) const RECEIVED: usize = SENT + 128;
    pub(super) const READ_AT: usize = RECEIVED + 8;
    /// What receivers have last seen of `SENT`.
    pub(super) const SEEN_SENT: usize = RECEIVED + 16;
    pub(super) const ROOM: usize = SENT + 192;
    pub(super) const CAPACITY: usize = SENT + 256;
    pub(super) const SIZE: usize = CAPACITY + 8;
    pub(super) const TABLE: usize = CAPACITY + 64;
}

/// The words of a bell: whether it is to be rung, and whether it has been.
const WANTED: usize = 0;
const RUNG: usize = 8;

/// It is to be rung once.
const ONCE: u64 = 1;
/// It is to be rung whenever it is silent.
const ALWAYS: u64 = 2;

/// Start, length, packet, and whether it is spilled.
const ENTRY: usize = 32;

/// The most messages that a queue can be made for.
pub(super) const MOST: usize = 1 << 24;

fn size_of_ring(capacity: usize) -> usize {
    let wanted = capacity.saturating_mul(256);
    wanted.clamp(64 << 10, 16 << 20).next_power_of_two()
}

fn length(capacity: u64, size: u64) -> Option<usize> {
    let table = usize::try_from(capacity).ok()?.checked_mul(ENTRY)?;
    let data = word::TABLE.checked_add(table)?;
    data.checked_add(usize::try_from(size).ok()?)
}

impl Ring {
    /// Makes one that is empty.
    pub(super) fn create(capacity: usize) -> io::Result<Self> {
        let size = size_of_ring(capacity);
        let (capacity, size) = (capacity as u64, size as u64);
        let whole = length(capacity, size).ok_or(io::ErrorKind::OutOfMemory)?;
        let mapping = Arc::new(Mapping::create(whole)?);
        let ring = Self {
            senders: Robust::create(&mapping, word::SENDERS)?,
            receivers: Robust::create(&mapping, word::RECEIVERS)?,
            arrival: Bell::create()?,
            room: Bell::create()?,
            capacity,
            size,
            mapping,
        };
        ring.word(word::CAPACITY).store(capacity, Ordering::Relaxed);
        ring.word(word::SIZE).store(size, Ordering::Relaxed);
        Ok(ring)
    }

    /// Shares what another process has made.
    pub(super) fn open(memory: OwnedFd, arrival: OwnedFd, room: OwnedFd) -> io::Result<Self> {
        let mapping = Arc::new(Mapping::open(memory, word::TABLE)?);
        let word = |at| mapping.get::<AtomicU64>(at).load(Ordering::Relaxed);
        let (capacity, size) = (word(word::CAPACITY), word(word::SIZE));
        if capacity == 0
            || !size.is_power_of_two()
            || length(capacity, size).is_none_or(|length| length > mapping.len())
        {
            return Err(damaged());
        }
        Ok(Self {
            senders: Robust::open(&mapping, word::SENDERS)?,
            receivers: Robust::open(&mapping, word::RECEIVERS)?,
            arrival: Bell::open(arrival)?,
            room: Bell::open(room)?,
            capacity,
            size,
            mapping,
        })
    }

    /// The descriptors by which it is shared, in the order in which [`open`](Self::open) takes them.
    pub(super) fn parts(&self) -> [BorrowedFd<'_>; 3] {
        [
            self.mapping.as_fd(),
            self.arrival.as_fd(),
            self.room.as_fd(),
        ]
    }

    pub(super) fn capacity(&self) -> usize {
        usize::try_from(self.capacity).unwrap_or(usize::MAX)
    }

    /// How many messages have been sent and not been received.
    pub(super) fn len(&self) -> u64 {
        // First what only grows behind the other, so that the difference is never negative.
        let received = self.received();
        self.sent().saturating_sub(received).min(self.capacity)
    }

    pub(super) fn sent(&self) -> u64 {
        self.word(word::SENT).load(Ordering::Acquire)
    }

    pub(super) fn received(&self) -> u64 {
        self.word(word::RECEIVED).load(Ordering::Acquire)
    }

    /// How long a message may be that is kept here and not in a memory of its own.
    pub(super) fn longest(&self) -> usize {
        usize::try_from(self.size / 4).unwrap_or(usize::MAX)
    }

    /// Readable when it has been rung for receivers.
    pub(super) fn arrival(&self) -> BorrowedFd<'_> {
        self.arrival.as_fd()
    }

    /// Readable when it has been rung for senders.
    pub(super) fn room(&self) -> BorrowedFd<'_> {
        self.room.as_fd()
    }

    /// Takes the lock of the senders; none if it was not had until the deadline.
    pub(super) fn send(&self, deadline: Option<Instant>) -> io::Result<Option<Sending<'_>>> {
        let guard = lock(&self.senders, deadline)?;
        Ok(guard.map(|guard| Sending { ring: self, guard }))
    }

    /// Takes the lock of the receivers; none if it was not had until the deadline.
    pub(super) fn receive(&self, deadline: Option<Instant>) -> io::Result<Option<Receiving<'_>>> {
        let guard = lock(&self.receivers, deadline)?;
        Ok(guard.map(|guard| Receiving { ring: self, guard }))
    }

    /// Whether somebody looks at the bell for receivers whenever it likes, and not only when it sleeps.
    pub(super) fn is_watched(&self) -> bool {
        self.word(word::ARRIVAL + WANTED).load(Ordering::Relaxed) == ALWAYS
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        self.mapping.get(at)
    }

    fn load(&self, at: usize) -> u64 {
        self.word(at).load(Ordering::Relaxed)
    }

    fn store(&self, at: usize, value: u64) {
        // Each is seen by whoever sees what was stored after it.
        self.word(at).store(value, Ordering::Release);
    }

    /// Rings a bell if that is wanted and has not been done.
    fn ring(&self, bell: &Bell, words: usize) {
        let wanted = self.load(words + WANTED);
        if wanted == 0 {
            return;
        }
        if self.load(words + RUNG) == 0 {
            // It cannot fail for an eventfd.
            let _ = bell.ring();
            self.store(words + RUNG, 1);
        }
        if wanted == ONCE {
            self.store(words + WANTED, 0);
        }
    }

    /// Silences a bell, and says that it is to be rung.
    fn silence(&self, bell: &Bell, words: usize, wanted: u64) -> io::Result<()> {
        // First the word: one that says too little costs a ring too many, and one too much would cost a wake-up.
        self.store(words + RUNG, 0);
        bell.clear()?;
        let wanted = wanted.max(self.load(words + WANTED));
        self.store(words + WANTED, wanted);
        Ok(())
    }

    fn entry_at(&self, message: u64) -> usize {
        let place = usize::try_from(message % self.capacity).unwrap_or_default();
        word::TABLE + place * ENTRY
    }

    /// Where the byte at this place of the queue is, and how many follow before the ring begins again.
    fn byte_at(&self, place: u64) -> (usize, usize) {
        let within = place & (self.size - 1);
        let data = word::TABLE + self.capacity() * ENTRY;
        let number = |number| usize::try_from(number).unwrap_or_default();
        (data + number(within), number(self.size - within))
    }
}

/// The right to send: the lock of the senders.
pub(super) struct Sending<'a> {
    ring: &'a Ring,
    guard: robust::Guard<'a>,
}

impl Sending<'_> {
    /// Whether a message of this length has room.
    pub(super) fn has_room(&self, length: usize) -> bool {
        self.has_room_by_last_look(length) || {
            let ring = self.ring;
            // In this order: what is seen of the second is at least as new.
            ring.store(word::SEEN_RECEIVED, ring.received());
            ring.store(word::SEEN_READ_AT, ring.load(word::READ_AT));
            self.has_room_by_last_look(length)
        }
    }

    fn has_room_by_last_look(&self, length: usize) -> bool {
        let ring = self.ring;
        let taken = ring
            .load(word::WRITE_AT)
            .wrapping_sub(ring.load(word::SEEN_READ_AT));
        let waiting = ring
            .load(word::SENT)
            .wrapping_sub(ring.load(word::SEEN_RECEIVED));
        // One who was killed in the middle of a message may have taken room for it, which is free again when there is none.
        let free = match waiting {
            0 => ring.size,
            _ => ring.size.saturating_sub(taken),
        };
        waiting < ring.capacity && length as u64 <= free
    }

    /// A number that no packet has had.
    pub(super) fn next_packet(&self) -> u64 {
        let packet = self.ring.load(word::PACKETS).wrapping_add(1).max(1);
        self.ring.store(word::PACKETS, packet);
        packet
    }

    /// Whether there has ever been a packet.
    pub(super) fn has_packets(&self) -> bool {
        self.ring.load(word::PACKETS) != 0
    }

    /// Sends a message, for which there is room.
    pub(super) fn publish(self, bytes: &[u8], packet: u64, spilled: bool) {
        let ring = self.ring;
        let start = ring.load(word::WRITE_AT);
        let (at, straight) = ring.byte_at(start);
        let (first, rest) = bytes.split_at(straight.min(bytes.len()));
        ring.mapping.store(at, first);
        ring.mapping.store(ring.byte_at(0).0, rest);
        let (sent, length) = (ring.load(word::SENT), bytes.len() as u64);
        let entry = ring.entry_at(sent);
        for (field, value) in [start, length, packet, u64::from(spilled)]
            .into_iter()
            .enumerate()
        {
            ring.store(entry + field * 8, value);
        }
        // Messages begin where words do.
        let end = start.wrapping_add(length.next_multiple_of(8));
        ring.store(word::WRITE_AT, end);
        ring.ring(&ring.arrival, word::ARRIVAL);
        ring.store(word::SENT, sent.wrapping_add(1));
        drop(self.guard);
    }

    /// Prepares to sleep until a message comes; returns whether there is none.
    pub(super) fn prepare_for_arrival(&self) -> io::Result<bool> {
        self.silence_if_empty(ONCE)
    }

    /// Has the bell rung whenever there is a message, from now on.
    pub(super) fn watch(&self) -> io::Result<()> {
        if !self.silence_if_empty(ALWAYS)? {
            self.ring.store(word::ARRIVAL + WANTED, ALWAYS);
            self.ring.ring(&self.ring.arrival, word::ARRIVAL);
        }
        Ok(())
    }

    /// Silences the bell if there is no message; returns whether there is none.
    pub(super) fn silence_if_empty(&self, wanted: u64) -> io::Result<bool> {
        let ring = self.ring;
        if ring.sent() != ring.received() {
            return Ok(false);
        }
        ring.silence(&ring.arrival, word::ARRIVAL, wanted)?;
        Ok(true)
    }
}

/// The right to receive: the lock of the receivers.
pub(super) struct Receiving<'a> {
    ring: &'a Ring,
    guard: robust::Guard<'a>,
}

impl Receiving<'_> {
    /// The next message; none if there is none.
    pub(super) fn next(&self) -> io::Result<Option<Entry>> {
        let ring = self.ring;
        let received = ring.load(word::RECEIVED);
        // What others have sent by then is seen whole, since they stored it before.
        let mut sent = ring.word(word::SEEN_SENT).load(Ordering::Acquire);
        if sent == received {
            sent = ring.sent();
            ring.store(word::SEEN_SENT, sent);
        }
        let waiting = sent.wrapping_sub(received);
        if waiting == 0 {
            return Ok(None);
        }
        let entry = ring.entry_at(received);
        let field = |field: usize| ring.load(entry + field * 8);
        let entry = Entry {
            start: field(0),
            length: field(1),
            packet: field(2),
            spilled: field(3) != 0,
        };
        if waiting > ring.capacity || entry.length > ring.size {
            return Err(damaged());
        }
        Ok(Some(entry))
    }

    /// Copies the bytes of a message.
    pub(super) fn copy(&self, entry: &Entry) -> io::Result<Vec<u8>> {
        let length = usize::try_from(entry.length).map_err(|_| damaged())?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length)?;
        let (at, straight) = self.ring.byte_at(entry.start);
        let first = straight.min(length);
        self.ring.mapping.append_to(at, first, &mut bytes);
        let (at, _) = self.ring.byte_at(0);
        self.ring.mapping.append_to(at, length - first, &mut bytes);
        Ok(bytes)
    }

    /// Gives the place of the next message free.
    pub(super) fn release(self, entry: &Entry) {
        let ring = self.ring;
        let end = entry.start.wrapping_add(entry.length.next_multiple_of(8));
        ring.store(word::READ_AT, end);
        ring.ring(&ring.room, word::ROOM);
        let received = ring.load(word::RECEIVED);
        ring.store(word::RECEIVED, received.wrapping_add(1));
        drop(self.guard);
    }

    /// Prepares to sleep until there is more room; returns whether none has come about since the caller looked.
    pub(super) fn prepare_for_room(&self, received: u64) -> io::Result<bool> {
        if self.ring.received() != received {
            return Ok(false);
        }
        let ring = self.ring;
        ring.silence(&ring.room, word::ROOM, ONCE)?;
        Ok(true)
    }
}

fn lock(lock: &Robust, deadline: Option<Instant>) -> io::Result<Option<robust::Guard<'_>>> {
    match lock.lock(deadline) {
        // What one who died with it has left is whole at every moment.
        Ok(guard) => {
            guard.recovered();
            Ok(Some(guard))
        }
        Err(Refused::Busy) => Ok(None),
        // A handler of a signal, in the middle of one of these.
        Err(Refused::Held) => Err(io::ErrorKind::Deadlock.into()),
        Err(Refused::Invalid(error)) => Err(error),
    }
}

fn damaged() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the memory of the queue is damaged",
    )
}
