//! The memory of a queue: messages one behind the other in a ring, and a table that says where each of them is.
//!
//! # What makes a message sent, and what makes it received
//!
//! There are two locks, both robust: the kernel gives them on when their holder dies. The holder of the senders' lock writes a
//! message into free room and its entry into the table. Both are nobody's yet. One store then makes it sent: `SENT` grows by one. The
//! holder of the receivers' lock copies the first message that is sent and not received. One store then makes it received:
//! `RECEIVED` grows by one.
//!
//! Nothing else says where a message is, or what is free. The messages are those from `RECEIVED` to `SENT`, and the memory that they
//! take begins where the entry of the first says and ends where that of the last says. So there is no second store that a death
//! could separate from the first, and a process that is killed with a lock leaves one of these:
//!
//! - Sender, before the store of `SENT`: what it wrote is in free room and in a free place of the table. The next sender writes over
//!   it.
//! - Sender, after it: the message is sent, and whole, since whoever sees the store sees what was stored before.
//! - Receiver, before the store of `RECEIVED`: the message is still there, whole, and no sender has written over it. The next
//!   receiver gets it. The one that died had handed it to nobody.
//! - Receiver, after it: the message is gone with the process that had it in hand. It is the only one that is lost.
//!
//! The other words are copies, each made by the holder of the same lock. `SEEN_RECEIVED` and `SEEN_SENT` are what one side last saw
//! of the other: an old value shows too little room, or too few messages, and then the other side's word is read.
//!
//! # What goes beside a message
//!
//! Descriptors go through a socket. A sender sends them before the store of `SENT`, so that they are there when the message is. If
//! it dies in between they are stray: no message has their number, since no number is given twice. A receiver takes them out
//! before the store of `RECEIVED`. If it dies in between the message is there without them: the next receiver passes it over, as one
//! that is lost with the process that had it in hand. Strays are dropped by a receiver that meets them, or that finds the
//! queue empty. It must not be left to chance that one does, because descriptors can be what somebody waits for the end of: a
//! sender rings before it sends any.
//!
//! # Why nobody sleeps while there is something for it
//!
//! A receiver that finds nothing takes the senders' lock, looks again, and only then says that it wants to be woken and silences
//! the bell. A sender rings under that lock, before it makes its message sent. If it is killed in between it has rung for nothing:
//! those who wake look, and before they sleep again they wait for that lock, which the kernel gives on. In the same way a
//! sender that finds no room takes the receivers' lock before it sleeps. There is room for any message or for none, so that all
//! who wait for room wait for the same thing.
//!
//! The order of the stores matters there too. `WANTED` is set before the bell is silenced: others may sleep on the same bell, have
//! been woken, and not have looked yet; they sleep on when they find it silent, and are then only woken by a sender that
//! sees `WANTED`. `RUNG` says that the bell certainly rings: it is cleared before the bell is, and set after it was rung.
//!
//! A bell that was rung for nothing can be seen from outside, by whoever watches the descriptor of a receiver. It is silenced
//! by the next attempt to receive that finds the queue empty.

use crate::sys::{
    bell::Bell,
    mapping::Mapping,
    robust::{self, Refused, Robust},
};
use nix::errno::Errno;
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
    /// How many bytes there are for messages.
    size: u64,
}

/// Where a message is, and what came beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The first of its bytes, counted from where the ring began when the queue was last empty.
    start: u64,
    length: u64,
    /// The number of the packet with its descriptors; zero if it has none.
    pub(super) packet: u64,
    pub(super) form: Form,
}

/// How the bytes and the descriptors of a message are to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Form {
    /// Whether the bytes are a summary of what is in a memory of its own, the last of the descriptors.
    pub(super) spilled: bool,
    /// Whether the descriptors are bundles of descriptors.
    pub(super) bundled: bool,
}

/// Words of one place each, far enough apart that senders and receivers do not disturb each other.
mod word {
    use super::robust;

    pub(super) const SENDERS: usize = 0;
    pub(super) const RECEIVERS: usize = robust::SIZE;
    pub(super) const SENT: usize = 2 * robust::SIZE;
    /// The number of the last packet.
    pub(super) const PACKETS: usize = SENT + 8;
    /// What senders have last seen of `RECEIVED`.
    pub(super) const SEEN_RECEIVED: usize = SENT + 16;
    pub(super) const ARRIVAL: usize = SENT + 64;
    pub(super) const RECEIVED: usize = SENT + 128;
    /// What receivers have last seen of `SENT`.
    pub(super) const SEEN_SENT: usize = RECEIVED + 8;
    /// The number of the last packet that was taken out.
    pub(super) const PACKETS_TAKEN: usize = RECEIVED + 16;
    pub(super) const ROOM: usize = SENT + 192;
    pub(super) const CAPACITY: usize = SENT + 256;
    pub(super) const SIZE: usize = CAPACITY + 8;
    pub(super) const TABLE: usize = CAPACITY + 64;
}

/// The words of a bell. Whether somebody sleeps, to be woken once; whether the bell certainly rings; whether it is to ring whenever
/// there is a message, since somebody watches it from outside.
const WANTED: usize = 0;
const RUNG: usize = 8;
const WATCHED: usize = 16;

/// Start, length, packet, and form.
const ENTRY: usize = 32;

/// The most messages that a queue can be made for.
pub(super) const MOST: usize = 1 << 24;

/// How many bytes there are for messages, without the room for one more.
fn usual_size(capacity: usize) -> usize {
    let wanted = capacity.saturating_mul(256);
    wanted.clamp(64 << 10, 16 << 20).next_power_of_two()
}

/// There is room for a message of any length as long as no more than four fifths are taken.
const FIFTHS: u64 = 5;

/// Messages begin where words do.
const WORD: u64 = 8;

fn length(capacity: u64, size: u64) -> Option<usize> {
    let table = usize::try_from(capacity).ok()?.checked_mul(ENTRY)?;
    let data = word::TABLE.checked_add(table)?;
    data.checked_add(usize::try_from(size).ok()?)
}

impl Ring {
    /// Makes one that is empty.
    pub(super) fn create(capacity: usize) -> io::Result<Self> {
        let size = usual_size(capacity) / 4 * 5;
        let (capacity, size) = (capacity as u64, size as u64);
        let whole = length(capacity, size).ok_or(Errno::ENOMEM)?;
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
            || size == 0
            || !size.is_multiple_of(FIFTHS * WORD)
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
        // First the word that never passes the other, so that the difference is never negative.
        let received = self.received();
        self.sent().wrapping_sub(received).min(self.capacity)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn sent(&self) -> u64 {
        self.word(word::SENT).load(Ordering::Acquire)
    }

    /// How many messages have been received since the queue was made.
    pub(super) fn received(&self) -> u64 {
        self.word(word::RECEIVED).load(Ordering::Acquire)
    }

    /// How long a message can be that is kept here and not in a memory of its own.
    pub(super) fn longest(&self) -> usize {
        usize::try_from(self.size / FIFTHS).unwrap_or(usize::MAX)
    }

    /// Readable when it has been rung for receivers.
    pub(super) fn arrival(&self) -> BorrowedFd<'_> {
        self.arrival.as_fd()
    }

    /// Readable when it has been rung for senders.
    pub(super) fn room(&self) -> BorrowedFd<'_> {
        self.room.as_fd()
    }

    /// Takes the lock of the senders; returns none if somebody else has it until the deadline.
    pub(super) fn send(&self, deadline: Option<Instant>) -> io::Result<Option<Sending<'_>>> {
        let guard = lock(&self.senders, deadline)?;
        Ok(guard.map(|guard| Sending { ring: self, guard }))
    }

    /// Takes the lock of the receivers; returns none if somebody else has it until the deadline.
    pub(super) fn receive(&self, deadline: Option<Instant>) -> io::Result<Option<Receiving<'_>>> {
        let guard = lock(&self.receivers, deadline)?;
        Ok(guard.map(|guard| Receiving { ring: self, guard }))
    }

    /// Whether somebody watches the bell for receivers from outside, and not only when it sleeps.
    pub(super) fn is_watched(&self) -> bool {
        self.load(word::ARRIVAL + WATCHED) != 0
    }

    /// Whether there may be packets of messages that were never sent, if the queue is empty.
    pub(super) fn may_have_strays(&self) -> bool {
        self.load(word::PACKETS) != self.load(word::PACKETS_TAKEN)
    }

    /// Does what [`Sending::watch`] does, for one that cannot take the lock, since its holder is stopped.
    pub(super) fn watch_without_lock(&self) {
        // It may ring for nothing, and no message is missed. (That a death between these would have one missed takes somebody else who
        // silences the bell in between, and would have to have the lock.)
        let _ = self.arrival.ring();
        self.store(word::ARRIVAL + WATCHED, 1);
        let _ = self.arrival.ring();
    }

    #[cfg(test)]
    pub(super) fn is_waited_for(&self) -> (bool, bool) {
        let is_wanted = |words| self.load(words + WANTED) != 0;
        (is_wanted(word::ARRIVAL), is_wanted(word::ROOM))
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        self.mapping.get(at)
    }

    fn load(&self, at: usize) -> u64 {
        self.word(at).load(Ordering::Relaxed)
    }

    fn store(&self, at: usize, value: u64) {
        step!();
        // Each is seen by whoever sees what was stored after it.
        self.word(at).store(value, Ordering::Release);
    }

    /// Rings a bell if somebody wants that.
    fn ring(&self, bell: &Bell, words: usize) {
        let wanted = self.load(words + WANTED) != 0;
        if wanted || self.load(words + WATCHED) != 0 {
            self.ring_unasked(bell, words);
        }
        if wanted {
            self.store(words + WANTED, 0);
        }
    }

    fn ring_unasked(&self, bell: &Bell, words: usize) {
        if self.load(words + RUNG) == 0 {
            step!();
            // It cannot fail for an eventfd.
            let _ = bell.ring();
            self.store(words + RUNG, 1);
        }
    }

    /// Silences a bell.
    fn silence(&self, bell: &Bell, words: usize) -> io::Result<()> {
        self.store(words + RUNG, 0);
        step!();
        bell.clear()?;
        Ok(())
    }

    fn entry(&self, message: u64) -> Entry {
        let entry = self.entry_at(message);
        let field = |field: usize| self.load(entry + field * 8);
        Entry {
            start: field(0),
            length: field(1),
            packet: field(2),
            form: Form {
                spilled: field(3) & 1 != 0,
                bundled: field(3) & 2 != 0,
            },
        }
    }

    fn write_entry(&self, message: u64, entry: &Entry) {
        let form = u64::from(entry.form.spilled) | u64::from(entry.form.bundled) << 1;
        let fields = [entry.start, entry.length, entry.packet, form];
        let at = self.entry_at(message);
        for (field, value) in fields.into_iter().enumerate() {
            self.store(at + field * 8, value);
        }
    }

    fn entry_at(&self, message: u64) -> usize {
        let place = usize::try_from(message % self.capacity).unwrap_or_default();
        word::TABLE + place * ENTRY
    }

    /// Where this byte of the queue is, and how many follow before the ring begins again.
    fn byte_at(&self, byte: u64) -> (usize, usize) {
        let within = byte % self.size;
        let data = word::TABLE + self.capacity() * ENTRY;
        let number = |number| usize::try_from(number).unwrap_or_default();
        (data + number(within), number(self.size - within))
    }
}

impl Entry {
    /// Where the next message begins.
    fn end(&self) -> u64 {
        let length = self.length.checked_next_multiple_of(WORD);
        self.start.wrapping_add(length.unwrap_or(u64::MAX))
    }
}

/// The right to send: the lock of the senders.
pub(super) struct Sending<'a> {
    ring: &'a Ring,
    guard: robust::Guard<'a>,
}

/// Room for one message, at this byte of the queue.
pub(super) struct Room(u64);

impl Sending<'_> {
    /// Finds room for a message; returns none if there is none.
    pub(super) fn room(&self) -> Option<Room> {
        self.room_by_last_look().or_else(|| {
            self.ring.store(word::SEEN_RECEIVED, self.ring.received());
            self.room_by_last_look()
        })
    }

    fn room_by_last_look(&self) -> Option<Room> {
        let ring = self.ring;
        let (sent, received) = (ring.load(word::SENT), ring.load(word::SEEN_RECEIVED));
        let waiting = sent.wrapping_sub(received);
        if waiting == 0 {
            return Some(Room(0));
        }
        if waiting >= ring.capacity {
            return None;
        }
        // Neither of the two entries can have been written over: both are of messages that were not received at the last look.
        let end = ring.entry(sent.wrapping_sub(1)).end();
        let taken = end.wrapping_sub(ring.entry(received).start);
        (taken <= ring.size - ring.size / FIFTHS).then_some(Room(end))
    }

    /// Announces a packet: returns a number that no packet has had.
    pub(super) fn announce_packet(&self) -> u64 {
        let ring = self.ring;
        // Who sleeps has to look after it, if this process dies before the message is sent.
        ring.ring(&ring.arrival, word::ARRIVAL);
        let packet = ring.load(word::PACKETS).wrapping_add(1).max(1);
        ring.store(word::PACKETS, packet);
        packet
    }

    /// Says that no packet is left in the socket.
    pub(super) fn all_packets_taken(&self) {
        let packets = self.ring.load(word::PACKETS);
        self.ring.store(word::PACKETS_TAKEN, packets);
    }

    /// Sends a message, which is no longer than the [longest](Ring::longest).
    pub(super) fn publish(self, Room(start): Room, bytes: &[u8], packet: u64, form: Form) {
        let ring = self.ring;
        let (at, straight) = ring.byte_at(start);
        let (first, rest) = bytes.split_at(straight.min(bytes.len()));
        ring.mapping.store(at, first);
        step!();
        ring.mapping.store(ring.byte_at(0).0, rest);
        let sent = ring.load(word::SENT);
        let length = bytes.len() as u64;
        ring.write_entry(
            sent,
            &Entry {
                start,
                length,
                packet,
                form,
            },
        );
        ring.ring(&ring.arrival, word::ARRIVAL);
        ring.store(word::SENT, sent.wrapping_add(1));
        step!();
        drop(self.guard);
        step!();
    }

    /// Prepares to sleep until a message comes; returns whether there is none.
    pub(super) fn prepare_for_arrival(&self) -> io::Result<bool> {
        if !self.ring.is_empty() {
            return Ok(false);
        }
        self.ring.store(word::ARRIVAL + WANTED, 1);
        self.ring.silence(&self.ring.arrival, word::ARRIVAL)?;
        Ok(true)
    }

    /// Silences the bell if somebody watches it and there is no message.
    pub(super) fn silence_if_empty(&self) -> io::Result<()> {
        // If nobody watches it, it is silent for those alone who say that they sleep.
        if self.ring.is_watched() && self.ring.is_empty() {
            self.ring.silence(&self.ring.arrival, word::ARRIVAL)?;
        }
        Ok(())
    }

    /// Has the bell ring whenever there is a message, from now on.
    pub(super) fn watch(&self) -> io::Result<()> {
        let ring = self.ring;
        // Once it is watched it must ring if there is a message, also if this process dies here.
        ring.ring_unasked(&ring.arrival, word::ARRIVAL);
        ring.store(word::ARRIVAL + WATCHED, 1);
        self.silence_if_empty()
    }
}

/// The right to receive: the lock of the receivers.
pub(super) struct Receiving<'a> {
    ring: &'a Ring,
    guard: robust::Guard<'a>,
}

impl Receiving<'_> {
    /// Returns the next message; none if there is none.
    pub(super) fn next(&self) -> io::Result<Option<Entry>> {
        let ring = self.ring;
        let received = ring.load(word::RECEIVED);
        // What others have sent by then is seen whole, since they stored it before.
        let mut sent = ring.word(word::SEEN_SENT).load(Ordering::Acquire);
        if sent == received {
            sent = ring.sent();
            ring.store(word::SEEN_SENT, sent);
        }
        match sent.wrapping_sub(received) {
            0 => return Ok(None),
            waiting if waiting <= ring.capacity => {}
            _ => {
                // Somebody has written over it. All that is there is given up, and what is sent after that arrives.
                ring.store(word::SEEN_SENT, ring.sent());
                ring.store(word::RECEIVED, ring.load(word::SEEN_SENT));
                return Err(damaged());
            }
        }
        Ok(Some(ring.entry(received)))
    }

    /// Copies the bytes of a message.
    pub(super) fn copy(&self, entry: &Entry) -> io::Result<Vec<u8>> {
        let length = usize::try_from(entry.length).unwrap_or(usize::MAX);
        if length > self.ring.longest() {
            return Err(damaged());
        }
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(length)
            .map_err(|_| io::Error::from(Errno::ENOMEM))?;
        let (at, straight) = self.ring.byte_at(entry.start);
        let first = straight.min(length);
        self.ring.mapping.append_to(at, first, &mut bytes);
        let (at, _) = self.ring.byte_at(0);
        self.ring.mapping.append_to(at, length - first, &mut bytes);
        Ok(bytes)
    }

    /// Says that this packet and those before it have been taken out.
    pub(super) fn packet_taken(&self, packet: u64) {
        self.ring.store(word::PACKETS_TAKEN, packet);
    }

    /// Makes the next message received.
    pub(super) fn finish(self) {
        let ring = self.ring;
        ring.ring(&ring.room, word::ROOM);
        let received = ring.load(word::RECEIVED);
        ring.store(word::RECEIVED, received.wrapping_add(1));
        step!();
        drop(self.guard);
        step!();
    }

    /// Prepares to sleep until there is more room; returns whether no message was received since so many were.
    pub(super) fn prepare_for_room(&self, received: u64) -> io::Result<bool> {
        let ring = self.ring;
        if ring.received() != received {
            return Ok(false);
        }
        ring.store(word::ROOM + WANTED, 1);
        ring.silence(&ring.room, word::ROOM)?;
        Ok(true)
    }
}

fn lock(lock: &Robust, deadline: Option<Instant>) -> io::Result<Option<robust::Guard<'_>>> {
    match lock.lock(deadline) {
        // What one who died with it has left is whole at every moment.
        Ok(guard) => {
            guard.recovered();
            step!();
            Ok(Some(guard))
        }
        Err(Refused::Busy) => Ok(None),
        // A handler of a signal, in the middle of one of these.
        Err(Refused::Held) => Err(Errno::EDEADLK.into()),
        Err(Refused::Invalid(error)) => Err(error),
    }
}

fn damaged() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the memory of the queue is damaged",
    )
}
