//! Where things are in the memory of a lane, and what its words say.

use super::ring;
use crate::{channel::Form, sys::mapping::Mapping};
use std::sync::atomic::{AtomicU32, AtomicU64};

/// How many tasks may be in a lane.
pub(super) const SLOTS: usize = 256;

/// The offsets of the words. What one side writes is on cache lines of its own.
pub(super) mod word {
    use super::{SLOTS, ring};

    const TASKS_SENT: usize = 0;
    const TASKS_TAKEN: usize = 128;
    const ANSWERS_SENT: usize = 256;
    const ANSWERS_TAKEN: usize = 384;
    /// Counts what the pool has told the worker, which sleeps on it.
    pub(in crate::pool::lane) const BELL: usize = 512;
    /// Whether the worker is to end.
    pub(in crate::pool::lane) const CLOSED: usize = 516;
    /// Whether the worker sleeps.
    pub(in crate::pool::lane) const ASLEEP: usize = 640;
    /// Whether the worker is ready for tasks.
    pub(in crate::pool::lane) const READY: usize = 644;
    /// Which memories of the worker hold an answer that the pool has not read, one bit for each.
    /// The worker sets them, and the pool clears them.
    pub(in crate::pool::lane) const LENT: usize = 768;
    pub(in crate::pool::lane) const CLAIMS: usize = 896;
    /// The size of a claim: the word, and when the task began.
    pub(in crate::pool::lane) const CLAIM: usize = 16;
    const BYTES: usize = CLAIMS + CLAIM * SLOTS;
    pub(in crate::pool::lane) const END: usize = BYTES + 2 * ring::SIZE;

    pub(in crate::pool::lane) const TASKS: ring::Place = ring::Place {
        sent: TASKS_SENT,
        taken: TASKS_TAKEN,
        bytes: BYTES,
    };
    pub(in crate::pool::lane) const ANSWERS: ring::Place = ring::Place {
        sent: ANSWERS_SENT,
        taken: ANSWERS_TAKEN,
        bytes: BYTES + ring::SIZE,
    };
}

/// The state of a claim: its lowest bits. The others are the number of the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    Offered = 0,
    Claimed = 1,
    Withdrawn = 2,
    /// The pool has the answer.
    Answered = 3,
}

impl Claim {
    const BITS: u32 = 2;

    /// Returns the word of a task in this state.
    pub(super) fn of(self, number: u64) -> u64 {
        number << Self::BITS | self as u64
    }
}

/// Returns the offset of the claim of a task.
fn claim_at(number: u64) -> usize {
    let slot = usize::try_from(number % SLOTS as u64).expect("it is below the number of slots");
    word::CLAIMS + slot * word::CLAIM
}

pub(super) fn claim(mapping: &Mapping, number: u64) -> &AtomicU64 {
    mapping.get(claim_at(number))
}

/// When the task began, in nanoseconds on the monotonic clock.
pub(super) fn began(mapping: &Mapping, number: u64) -> &AtomicU64 {
    mapping.get(claim_at(number) + size_of::<u64>())
}

pub(super) fn flag(mapping: &Mapping, at: usize) -> &AtomicU32 {
    mapping.get(at)
}

/// How the bytes and the descriptors of a record are read.
pub(super) mod flags {
    pub(in crate::pool::lane) const PACKET: u8 = 1;
    pub(in crate::pool::lane) const SPILLED: u8 = 2;
    pub(in crate::pool::lane) const BUNDLED: u8 = 4;
    /// The worker wants to be replaced.
    pub(in crate::pool::lane) const TIRED: u8 = 8;
}

pub(super) fn flags_of(is_spilled: bool, is_bundled: bool, has_packet: bool) -> u8 {
    let flag = |is: bool, flag| if is { flag } else { 0 };
    flag(has_packet, flags::PACKET)
        | flag(is_spilled, flags::SPILLED)
        | flag(is_bundled, flags::BUNDLED)
}

pub(super) fn form_of(flags: u8) -> Form {
    Form {
        spilled: flags & flags::SPILLED != 0,
        bundled: flags & flags::BUNDLED != 0,
    }
}

/// How many memories of a worker may hold answers at one time.
pub(super) const MEMORIES: u8 = 8;

/// Returns the bit of a memory, counted from one.
pub(super) fn loan_bit(memory: u8) -> Option<u32> {
    (1..=MEMORIES).contains(&memory).then(|| 1 << (memory - 1))
}
