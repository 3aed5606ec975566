//! One word on which a pool sleeps for all its workers.
//!
//! It says who of the pool sleeps, and for which time that is. A worker that has a result rings if
//! somebody sleeps, once for each time. Nothing else depends on the word, so no worker can harm
//! more by it than wake the pool for nothing.

use crate::sys::{
    bell::Bell,
    fd::{AsFd, BorrowedFd, OwnedFd},
    futex,
    mapping::Mapping,
    step::step,
};
use std::{
    io,
    sync::atomic::{AtomicU32, Ordering, fence},
    time::Instant,
};

/// Who sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) enum Sleeper {
    /// The thread of the pool, which waits for the bell and for the ends of workers.
    Keeper,
    /// A thread that waits for a result. It sleeps on the word itself.
    Caller,
}

/// The lowest bits of the word. The others count how often the pool has slept.
mod bit {
    pub(super) const KEEPER: u32 = 1;
    pub(super) const CALLER: u32 = 2;
    /// A worker has rung for the caller.
    pub(super) const RUNG: u32 = 4;
    pub(super) const NEXT: u32 = 8;
}

/// The word, and the bell of the keeper.
#[derive(Debug)]
pub(in crate::pool) struct Attention {
    mapping: Mapping,
    bell: Bell,
}

impl Attention {
    pub(in crate::pool) fn create() -> io::Result<Self> {
        Ok(Self {
            mapping: Mapping::create(size_of::<AtomicU32>())?,
            bell: Bell::create()?,
        })
    }

    /// Opens the word of a pool, in a worker.
    pub(in crate::pool) fn open(memory: OwnedFd, bell: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            mapping: Mapping::open(memory, size_of::<AtomicU32>())?,
            bell: Bell::open(bell)?,
        })
    }

    /// The descriptors that share it, in the order in which [`open`](Self::open) takes them.
    pub(in crate::pool) fn parts(&self) -> [BorrowedFd<'_>; 2] {
        [self.mapping.as_fd(), self.bell.as_fd()]
    }

    fn word(&self) -> &AtomicU32 {
        self.mapping.get(0)
    }

    /// Notes who sleeps from now on. The caller looks for results once more before it sleeps.
    pub(in crate::pool) fn sleeps(&self, who: Sleeper) {
        let bits = match who {
            Sleeper::Keeper => bit::KEEPER,
            Sleeper::Caller => bit::CALLER,
        };
        self.set(bits);
        // Orders the store before the look for results. A worker does the same the other way
        // round.
        fence(Ordering::SeqCst);
    }

    /// Notes that nobody need be woken.
    pub(in crate::pool) fn is_awake(&self) {
        self.set(0);
    }

    fn set(&self, bits: u32) {
        let before = self.word().load(Ordering::Relaxed);
        let count = (before & !(bit::NEXT - 1)).wrapping_add(bit::NEXT);
        self.word().store(count | bits, Ordering::Relaxed);
    }

    /// Sleeps until a worker rings for the caller, or [`wake`](Self::wake) is called. Returns false
    /// after the deadline.
    pub(in crate::pool) fn wait(&self, deadline: Option<Instant>) -> io::Result<bool> {
        let now = self.word().load(Ordering::Relaxed);
        if now & bit::CALLER == 0 || now & bit::RUNG != 0 {
            return Ok(true);
        }
        futex::wait(self.word(), now, deadline)
    }

    /// Wakes the caller that sleeps on the word, if one does.
    pub(in crate::pool) fn wake(&self) {
        self.word().fetch_or(bit::RUNG, Ordering::Relaxed);
        futex::wake_all(self.word());
    }

    /// The bell of the keeper.
    pub(in crate::pool) fn bell(&self) -> &Bell {
        &self.bell
    }
}

/// What a worker knows of the word.
#[derive(Debug)]
pub(in crate::pool) struct Ringer {
    attention: Attention,
    /// For which time it has rung.
    rung: u32,
}

impl Ringer {
    pub(in crate::pool) fn new(attention: Attention) -> Self {
        Self { attention, rung: 0 }
    }

    /// Wakes the pool if it sleeps, after a result was sent.
    pub(in crate::pool) fn ring(&mut self) {
        fence(Ordering::SeqCst);
        let now = self.attention.word().load(Ordering::Relaxed) & !bit::RUNG;
        if now == self.rung || now & (bit::KEEPER | bit::CALLER) == 0 {
            return;
        }
        step();
        self.rung = now;
        if now & bit::CALLER != 0 {
            self.attention.wake();
        } else {
            // It cannot fail but for a descriptor that is not a bell.
            let _ = self.attention.bell.ring();
        }
    }
}
