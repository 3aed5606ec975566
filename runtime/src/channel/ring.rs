//! The memory of a queue: messages, one after the other, in a ring, and a table with the position
//! of each.
//!
//! # When a message is sent, and when it is received
//!
//! There are two robust locks: if the holder of a lock dies, the kernel gives the lock to the next
//! process. The holder of the senders' lock writes a message into free room, and its entry into the
//! table. Both belong to no message yet. Then one store makes the message sent: `SENT` grows by
//! one. The holder of the receivers' lock copies the first message that is sent but not received.
//! Then one store makes the message received: `RECEIVED` grows by one.
//!
//! Nothing else says where messages are, or which room is free. The messages have the numbers from
//! `RECEIVED` (included) to `SENT` (excluded). Their bytes begin where the entry of the first
//! message says, and end where the entry of the last message says. So there is no second store that
//! a death could separate from the first one. If a process is killed while it holds a lock, there
//! are four cases:
//!
//! 1. A sender, before the store of `SENT`: the bytes are in free room, and the entry is in a free
//!    place of the table. The next sender writes over them.
//! 2. A sender, after the store of `SENT`: the message is sent and complete, because a process that
//!    sees this store sees all stores before it.
//! 3. A receiver, before the store of `RECEIVED`: the message is still there and complete, because
//!    no sender has written over it. The next receiver gets it. The dead receiver had not returned
//!    it to its caller.
//! 4. A receiver, after the store of `RECEIVED`: the message is lost with the process that had
//!    taken it. No other message is lost.
//!
//! Two more words are copies, each made by the holder of the same lock. `SEEN_RECEIVED` is what the
//! senders last read of `RECEIVED`, and `SEEN_SENT` is what the receivers last read of `SENT`. An
//! old value shows too little room or too few messages. Then the word of the other side is read.
//!
//! # Descriptors
//!
//! Descriptors go through a socket, in one packet for each message that has some. A sender sends
//! the packet before the store of `SENT`, so that the packet is there when the message is. If the
//! sender dies in between, the packet is stray: no message has its number, because no number is
//! used twice. A receiver takes the packet out before the store of `RECEIVED`. If the receiver dies
//! in between, the message is there without its packet. The next receiver skips this message: it is
//! lost with the receiver that had taken its packet.
//!
//! A receiver drops stray packets when it meets them, or when it finds the queue empty. This must
//! happen soon, because another process may wait until all copies of a descriptor are closed. So a
//! sender rings the bell before it sends a packet: a receiver wakes up and looks.
//!
//! # Why no process sleeps while there is something for it
//!
//! A receiver that finds no message takes the senders' lock, looks again, and only then sets
//! `WANTED` and silences the bell. A sender rings under this lock, before the store of `SENT`. If
//! the sender is killed in between, it has rung for nothing. The receivers that wake up look for a
//! message. Before they sleep again they wait for the senders' lock, which the kernel takes from a
//! dead holder. In the same way, a sender that finds no room takes the receivers' lock before it
//! sleeps. There is either room for a message of any length or no room at all, so all waiting
//! senders wait for the same event.
//!
//! The order of the stores matters here too:
//!
//! - `WANTED` is set before the bell is silenced. Another process may sleep on the same bell: it
//!   was woken, but has not looked yet. If it finds the bell silent, it sleeps on. From then on
//!   only a sender that sees `WANTED` wakes it.
//! - `RUNG` says that the bell certainly rings. It is cleared before the bell is silenced, and set
//!   after the bell was rung.
//!
//! A process that watches the descriptor of a receiver sees a bell that was rung for nothing. The
//! next attempt to receive that finds the queue empty silences it.

use crate::sys::{
    bell::Bell,
    errno,
    fd::{AsFd, BorrowedFd, OwnedFd},
    mapping::Mapping,
    robust::{self, Refused, Robust},
    step::step,
};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

/// The memory of a queue, and its two bells.
#[derive(Debug)]
pub(super) struct Ring {
    mapping: Arc<Mapping>,
    senders: Robust,
    receivers: Robust,
    /// Rung for receivers: a message arrives.
    arrival: Bell,
    /// Rung for senders: there is more room.
    room: Bell,
    capacity: u64,
    /// How many bytes the ring has for messages.
    size: u64,
}

/// The table entry of a message: its position, its packet and its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Position of the first byte. Positions start again at 0 when a message is written to an empty
    /// queue, and do not wrap at the end of the ring: see [`Ring::byte_at`].
    start: u64,
    length: u64,
    /// The number of the packet with its descriptors. Zero if it has none.
    pub(super) packet: u64,
    pub(super) form: Form,
}

/// How the bytes and the descriptors of a message are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Form {
    /// Whether the message is in a memory file of its own. Then there are no bytes, and the file is
    /// the last descriptor.
    pub(crate) spilled: bool,
    /// Whether the descriptors are bundles of descriptors.
    pub(crate) bundled: bool,
}

/// The offsets of the words in the memory. Words of senders and words of receivers are on different
/// cache lines.
mod word {
    use super::robust;

    pub(super) const SENDERS: usize = 0;
    pub(super) const RECEIVERS: usize = robust::SIZE;
    pub(super) const SENT: usize = 2 * robust::SIZE;
    /// The number of the last packet that was announced.
    pub(super) const PACKETS: usize = SENT + 8;
    /// What senders last read of `RECEIVED`.
    pub(super) const SEEN_RECEIVED: usize = SENT + 16;
    pub(super) const ARRIVAL: usize = SENT + 64;
    pub(super) const RECEIVED: usize = SENT + 128;
    /// What receivers last read of `SENT`.
    pub(super) const SEEN_SENT: usize = RECEIVED + 8;
    /// The number of the last packet that was taken out of the socket.
    pub(super) const PACKETS_TAKEN: usize = RECEIVED + 16;
    pub(super) const ROOM: usize = SENT + 192;
    pub(super) const CAPACITY: usize = SENT + 256;
    pub(super) const SIZE: usize = CAPACITY + 8;
    pub(super) const TABLE: usize = CAPACITY + 64;
}

// The words of a bell, as offsets from `ARRIVAL` or `ROOM`.

/// Whether a process sleeps, and must be woken once.
const WANTED: usize = 0;
/// Whether the bell certainly rings.
const RUNG: usize = 8;
/// Whether the bell must ring for every message, because a process watches it from outside.
const WATCHED: usize = 16;

/// The size of an entry: start, length, packet and form, each one word.
const ENTRY: usize = 32;

/// The largest capacity of a queue.
pub(super) const MOST: usize = 1 << 24;

/// How many bytes may be taken before the queue is full. The ring has a quarter more, for one more
/// message.
fn usual_size(capacity: usize) -> usize {
    let wanted = capacity.saturating_mul(256);
    wanted.clamp(64 << 10, 16 << 20).next_power_of_two()
}

/// There is room for another message, of any length up to one fifth of the ring, while at most four
/// fifths are taken.
const FIFTHS: u64 = 5;

/// Messages begin at multiples of a word.
const WORD: u64 = 8;

fn length(capacity: u64, size: u64) -> Option<usize> {
    let table = usize::try_from(capacity).ok()?.checked_mul(ENTRY)?;
    let data = word::TABLE.checked_add(table)?;
    data.checked_add(usize::try_from(size).ok()?)
}

impl Ring {
    /// Makes an empty queue.
    pub(super) fn create(capacity: usize) -> io::Result<Self> {
        let size = usual_size(capacity) / 4 * 5;
        let (capacity, size) = (capacity as u64, size as u64);
        let whole =
            length(capacity, size).ok_or_else(|| io::Error::from_raw_os_error(errno::ENOMEM))?;
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

    /// Opens a queue that another process has made.
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

    /// The descriptors that share the queue, in the order in which [`open`](Self::open) takes them.
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

    /// How many messages have been sent but not received.
    pub(super) fn len(&self) -> u64 {
        // `RECEIVED` never passes `SENT`. Read it first, so that the difference is not negative.
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

    /// The longest message, in bytes, that goes into the ring. A longer one goes into a memory file
    /// of its own.
    pub(super) fn longest(&self) -> usize {
        usize::try_from(self.size / FIFTHS).unwrap_or(usize::MAX)
    }

    /// Readable while the bell for receivers rings.
    pub(super) fn arrival(&self) -> BorrowedFd<'_> {
        self.arrival.as_fd()
    }

    /// Readable while the bell for senders rings.
    pub(super) fn room(&self) -> BorrowedFd<'_> {
        self.room.as_fd()
    }

    /// Takes the senders' lock. Returns `None` if another thread holds it until the deadline.
    pub(super) fn send(&self, deadline: Option<Instant>) -> io::Result<Option<Sending<'_>>> {
        let guard = lock(&self.senders, deadline)?;
        Ok(guard.map(|guard| Sending { ring: self, guard }))
    }

    /// Takes the receivers' lock. Returns `None` if another thread holds it until the deadline.
    pub(super) fn receive(&self, deadline: Option<Instant>) -> io::Result<Option<Receiving<'_>>> {
        let guard = lock(&self.receivers, deadline)?;
        Ok(guard.map(|guard| Receiving { ring: self, guard }))
    }

    /// Whether a process may watch the bell for receivers without sleeping in a receiving call.
    /// Then the bell rings for every message.
    pub(super) fn is_watched(&self) -> bool {
        self.load(word::ARRIVAL + WATCHED) != 0
    }

    /// Whether the socket may hold stray packets, if the queue is empty.
    pub(super) fn may_have_strays(&self) -> bool {
        self.load(word::PACKETS) != self.load(word::PACKETS_TAKEN)
    }

    /// Does what [`Sending::watch`] does, but without the lock. For use if the holder of the lock
    /// is stopped.
    pub(super) fn watch_without_lock(&self) {
        // This may ring for nothing, but no message is missed. A message could be missed only if
        // this process died between these steps, and another process silenced the bell in between.
        // To silence it, that process would need the lock, which the stopped process holds.
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
        step();
        // Release: a process that sees this store sees all stores before it.
        self.word(at).store(value, Ordering::Release);
    }

    /// Rings a bell if a process sleeps on it or watches it.
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
            step();
            // Writing to an eventfd that does not block cannot fail: `EAGAIN` means that it rings
            // already.
            let _ = bell.ring();
            self.store(words + RUNG, 1);
        }
    }

    /// Silences a bell. Clears `RUNG` first: a stale 0 costs one extra ring, but a stale 1 would
    /// lose a wake-up.
    fn silence(&self, bell: &Bell, words: usize) -> io::Result<()> {
        self.store(words + RUNG, 0);
        step();
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

    /// The offset of this byte in the memory, and how many bytes follow before the ring wraps.
    fn byte_at(&self, byte: u64) -> (usize, usize) {
        let within = byte % self.size;
        let data = word::TABLE + self.capacity() * ENTRY;
        let number = |number| usize::try_from(number).unwrap_or_default();
        (data + number(within), number(self.size - within))
    }
}

impl Entry {
    /// The position where the next message begins.
    fn end(&self) -> u64 {
        let length = self.length.checked_next_multiple_of(WORD);
        self.start.wrapping_add(length.unwrap_or(u64::MAX))
    }
}

/// The right to send: holds the senders' lock.
pub(super) struct Sending<'a> {
    ring: &'a Ring,
    guard: robust::Guard<'a>,
}

/// Room for one message, at this position.
pub(super) struct Room(u64);

impl Sending<'_> {
    /// Finds room for a message. Returns `None` if the queue is full.
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
        // No sender has written over these two entries: at the last look both messages were not
        // received yet.
        let end = ring.entry(sent.wrapping_sub(1)).end();
        let taken = end.wrapping_sub(ring.entry(received).start);
        (taken <= ring.size - ring.size / FIFTHS).then_some(Room(end))
    }

    /// Announces a packet and returns its number, which no other packet has.
    pub(super) fn announce_packet(&self) -> u64 {
        let ring = self.ring;
        // Ring first: if this process dies before its message is sent, a receiver must look for the
        // packet and drop it.
        ring.ring(&ring.arrival, word::ARRIVAL);
        let packet = ring.load(word::PACKETS).wrapping_add(1).max(1);
        ring.store(word::PACKETS, packet);
        packet
    }

    /// Records that the socket has no packets left.
    pub(super) fn all_packets_taken(&self) {
        let packets = self.ring.load(word::PACKETS);
        self.ring.store(word::PACKETS_TAKEN, packets);
    }

    /// Sends a message, which must not be longer than [`Ring::longest`].
    pub(super) fn publish(self, Room(start): Room, bytes: &[u8], packet: u64, form: Form) {
        let ring = self.ring;
        let (at, straight) = ring.byte_at(start);
        let (first, rest) = bytes.split_at(straight.min(bytes.len()));
        ring.mapping.store(at, first);
        step();
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
        step();
        drop(self.guard);
        step();
    }

    /// Prepares to sleep until a message arrives. Returns false if there is a message already.
    pub(super) fn prepare_for_arrival(&self) -> io::Result<bool> {
        if !self.ring.is_empty() {
            return Ok(false);
        }
        self.ring.store(word::ARRIVAL + WANTED, 1);
        self.ring.silence(&self.ring.arrival, word::ARRIVAL)?;
        Ok(true)
    }

    /// Silences the bell if it is watched and the queue is empty.
    pub(super) fn silence_if_empty(&self) -> io::Result<()> {
        // A bell that is not watched is silenced by the receivers that sleep on it.
        if self.ring.is_watched() && self.ring.is_empty() {
            self.ring.silence(&self.ring.arrival, word::ARRIVAL)?;
        }
        Ok(())
    }

    /// From now on, the bell rings whenever there is a message.
    pub(super) fn watch(&self) -> io::Result<()> {
        let ring = self.ring;
        // Ring first: once `WATCHED` is set, the bell must ring if there is a message, even if this
        // process dies here.
        ring.ring_unasked(&ring.arrival, word::ARRIVAL);
        ring.store(word::ARRIVAL + WATCHED, 1);
        self.silence_if_empty()
    }
}

/// The right to receive: holds the receivers' lock.
pub(super) struct Receiving<'a> {
    ring: &'a Ring,
    guard: robust::Guard<'a>,
}

impl Receiving<'_> {
    /// Returns the entry of the next message, or `None` if there is no message.
    pub(super) fn next(&self) -> io::Result<Option<Entry>> {
        let ring = self.ring;
        let received = ring.load(word::RECEIVED);
        // Acquire: pairs with the store of `SEEN_SENT` by an earlier receiver, which had read
        // `SENT`. So all messages up to this number are visible completely.
        let mut sent = ring.word(word::SEEN_SENT).load(Ordering::Acquire);
        if sent == received {
            sent = ring.sent();
            ring.store(word::SEEN_SENT, sent);
        }
        match sent.wrapping_sub(received) {
            0 => return Ok(None),
            waiting if waiting <= ring.capacity => {}
            _ => {
                // Another process has damaged the words. Give up all messages that are there.
                // Messages that are sent later arrive.
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
            .map_err(|_| io::Error::from_raw_os_error(errno::ENOMEM))?;
        let (at, straight) = self.ring.byte_at(entry.start);
        let first = straight.min(length);
        self.ring.mapping.append_to(at, first, &mut bytes);
        let (at, _) = self.ring.byte_at(0);
        self.ring.mapping.append_to(at, length - first, &mut bytes);
        Ok(bytes)
    }

    /// Records that this packet, and all packets before it, have been taken out.
    pub(super) fn packet_taken(&self, packet: u64) {
        self.ring.store(word::PACKETS_TAKEN, packet);
    }

    /// Makes the next message received.
    pub(super) fn finish(self) {
        let ring = self.ring;
        ring.ring(&ring.room, word::ROOM);
        let received = ring.load(word::RECEIVED);
        ring.store(word::RECEIVED, received.wrapping_add(1));
        step();
        drop(self.guard);
        step();
    }

    /// Prepares to sleep until there is more room. Returns false if more than `received` messages
    /// have been received, so that there may be room.
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
        // The memory is consistent at every moment, so a death of the holder needs no repair.
        Ok(mut guard) => {
            guard.recovered();
            step();
            Ok(Some(guard))
        }
        Err(Refused::Busy) => Ok(None),
        // This thread holds the lock already: this is a signal handler that interrupted a queue
        // operation.
        Err(Refused::Held) => Err(io::Error::from_raw_os_error(errno::EDEADLK)),
        Err(Refused::Invalid(error)) => Err(error),
    }
}

fn damaged() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the memory of the queue is damaged",
    )
}
