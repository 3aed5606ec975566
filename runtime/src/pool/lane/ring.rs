//! A ring of records, which one process writes and another one reads.
//!
//! Positions count bytes and never go back. The writer alone stores `SENT`, after the record; the
//! reader alone stores `TAKEN`, after it has copied the record out. So there is no state between a
//! record and no record, whenever one of them is killed.

use crate::sys::{mapping::Mapping, step::step};
use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// How many bytes a ring has.
pub(super) const SIZE: usize = 64 << 10;

/// The most bytes of one record. What is longer goes beside the ring.
pub(in crate::pool) const LONGEST: usize = 16 << 10;

/// The words before the bytes of a record.
const WORDS: usize = 4;

/// The bytes of these words. Records begin at multiples of it, so that no head goes past the end of
/// the ring.
const HEAD: usize = WORDS * size_of::<u64>();

/// What stands before the bytes of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::pool) struct Head {
    /// What the record is.
    pub(in crate::pool) kind: u8,
    /// How its bytes and its descriptors are read.
    pub(in crate::pool) flags: u8,
    /// Which memory of the writer has its content, counted from one. Zero is none.
    pub(in crate::pool) memory: u8,
    /// The number of the task.
    pub(in crate::pool) number: u64,
    /// The function of a task, or how many nanoseconds it took.
    pub(in crate::pool) detail: u64,
    /// The number of the job, for users.
    pub(in crate::pool) job: u64,
    /// How many bytes follow. The writer sets it.
    pub(in crate::pool) length: usize,
}

/// Where a ring is in the memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The offset of the word that the writer stores.
    pub(super) sent: usize,
    /// The offset of the word that the reader stores.
    pub(super) taken: usize,
    /// The offset of the bytes.
    pub(super) bytes: usize,
}

/// The side that writes.
#[derive(Debug)]
pub(super) struct Writer {
    mapping: Arc<Mapping>,
    place: Place,
    sent: u64,
    /// What was last read of the reader's word.
    seen: Cell<u64>,
}

/// The side that reads.
#[derive(Debug)]
pub(super) struct Reader {
    mapping: Arc<Mapping>,
    place: Place,
    taken: u64,
    /// What was last read of the writer's word.
    seen: Cell<u64>,
}

/// How many bytes of the ring a record takes.
fn size(length: usize) -> usize {
    HEAD + length.next_multiple_of(HEAD)
}

fn word(mapping: &Mapping, at: usize) -> &AtomicU64 {
    mapping.get(at)
}

/// Returns the offset of a position in the ring.
fn offset(position: u64) -> usize {
    usize::try_from(position % SIZE as u64).expect("it is below the size")
}

/// Returns the words of the head at a position.
fn words(mapping: &Mapping, place: Place, position: u64) -> &[AtomicU64] {
    mapping.slice(place.bytes + offset(position), WORDS)
}

impl Writer {
    pub(super) fn new(mapping: &Arc<Mapping>, place: Place) -> Self {
        Self {
            mapping: Arc::clone(mapping),
            place,
            sent: 0,
            seen: Cell::new(0),
        }
    }

    /// Whether there is room for a record of this length now.
    pub(super) fn has_room(&self, length: usize) -> bool {
        let size = size(length) as u64;
        let left = |taken: u64| (SIZE as u64).saturating_sub(self.sent.wrapping_sub(taken));
        if left(self.seen.get()) >= size {
            return true;
        }
        let taken = word(&self.mapping, self.place.taken).load(Ordering::Acquire);
        self.seen.set(taken);
        left(taken) >= size
    }

    /// Writes a record, for which there is room.
    pub(super) fn write(&mut self, head: Head, bytes: &[u8]) {
        debug_assert!(bytes.len() <= LONGEST, "longer records go beside the ring");
        let length = u32::try_from(bytes.len()).expect("a record is short");
        let [a, b, c, d] = length.to_le_bytes();
        let first = u64::from_le_bytes([a, b, c, d, head.kind, head.flags, head.memory, 0]);
        let words = words(&self.mapping, self.place, self.sent);
        for (word, value) in words
            .iter()
            .zip([first, head.number, head.detail, head.job])
        {
            word.store(value, Ordering::Relaxed);
        }
        let at = offset(self.sent + HEAD as u64);
        let (here, wrapped) = bytes.split_at(bytes.len().min(SIZE - at));
        self.mapping.store(self.place.bytes + at, here);
        if !wrapped.is_empty() {
            self.mapping.store(self.place.bytes, wrapped);
        }
        self.sent += size(bytes.len()) as u64;
        step();
        word(&self.mapping, self.place.sent).store(self.sent, Ordering::Release);
    }
}

impl Reader {
    pub(super) fn new(mapping: &Arc<Mapping>, place: Place) -> Self {
        Self {
            mapping: Arc::clone(mapping),
            place,
            taken: 0,
            seen: Cell::new(0),
        }
    }

    /// Whether there is a record.
    pub(super) fn has_more(&self) -> bool {
        if self.seen.get() == self.taken {
            let sent = word(&self.mapping, self.place.sent).load(Ordering::Acquire);
            self.seen.set(sent);
        }
        self.seen.get() != self.taken
    }

    /// Returns the head of the next record, without taking it.
    pub(super) fn peek(&self) -> Option<Head> {
        if !self.has_more() {
            return None;
        }
        let words = words(&self.mapping, self.place, self.taken);
        let at = |index: usize| words[index].load(Ordering::Relaxed);
        let [a, b, c, d, kind, flags, memory, _] = at(0).to_le_bytes();
        Some(Head {
            kind,
            flags,
            memory,
            number: at(1),
            detail: at(2),
            job: at(3),
            // The other side may write anything. A wrong length is a wrong value, and no more than
            // that.
            length: usize::try_from(u32::from_le_bytes([a, b, c, d]))
                .map_or(LONGEST, |length| length.min(LONGEST)),
        })
    }

    /// Takes the next record, which has this head, and appends its bytes to `to`.
    pub(super) fn take(&mut self, head: Head, to: &mut Vec<u8>) {
        let length = head.length;
        let at = offset(self.taken + HEAD as u64);
        let here = length.min(SIZE - at);
        self.mapping.append_to(self.place.bytes + at, here, to);
        if here < length {
            self.mapping.append_to(self.place.bytes, length - here, to);
        }
        self.skip(head);
    }

    /// Takes the next record, which has this head, without its bytes.
    pub(super) fn skip(&mut self, head: Head) {
        self.taken += size(head.length) as u64;
        step();
        word(&self.mapping, self.place.taken).store(self.taken, Ordering::Release);
    }
}
