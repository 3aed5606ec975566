//! What the locks with more than one holder are built on: a small state in shared memory, and who has what of it.
//!
//! # The parts
//!
//! - **The lock**, a robust mutex, under which the state is read and changed, for moments only.
//! - **The state**, a few words. A change is one store, or is written to a log first, and done again from there when the one who made
//!   it was killed in between: so it happens whole or not at all.
//! - **The seats**: which process has how much. What a process that has ended had is given back from there.
//! - **The watch**, another robust mutex, which one of those who have to wait holds while it waits, and the others wait for. When it
//!   leaves, or dies, the kernel hands the watch to the next.
//! - **The bell**, an eventfd. It is rung for the one who has the watch, and only that one listens to it and clears it.
//!
//! Who can have what it wants at once takes the lock, changes the state and leaves, without a system call. Who cannot queues for the
//! watch, and when it has it, sleeps until the bell rings, or a process ends that has what it waits for (by its pidfd), or its time
//! is up.
//!
//! # Why nobody waits for what is to be had
//!
//! When something can be had and somebody waits, one of these holds at every instant, also after anybody was killed between any two
//! instructions:
//!
//! 1. *Nobody holds the watch.* Then one who queues for it is being woken: when it is given back, when its holder dies, and when the
//!    one that was woken dies (for which see `sys::robust`). Whoever gets it looks at the state before it sleeps.
//! 2. *The holder of the watch does not sleep.* Then it will look before it does.
//! 3. *It sleeps, and the bell is rung.* Nobody else clears it, so it wakes.
//! 4. *It sleeps, the bell is not rung*, and what can be had belonged to a process that has ended. When the sleeper last looked, under
//!    the lock, there was nothing to be had, and it has cleared the bell, and said that it watches, before it let go of the lock.
//!    Who has given something back since has rung the bell before, under the lock. So all that stood in the way then, still has or
//!    died having what it had, and the sleeper has the pidfds of those: one that has died is readable, and it wakes. (Others may
//!    have come since and got a share as well. They do not matter while one of the first stands in the way.)
//!
//! Somebody killed with the lock leaves it to the next one who wants it, which finishes from the log what was begun.
//!
//! A process of another pid or time namespace cannot be watched from here: what it had when it was killed is not given back.

use super::state::{CAPACITY, LENGTH, LOGGED, OWN, State, WATCHED};
use crate::{
    Fd,
    sys::{
        bell::Bell,
        gate::{Gate, Listener},
        mapping::Mapping,
        peer::{Peer, Watch},
        robust::{self, Refused, Robust},
        wait::{self, For},
    },
};
use serde::{Serialize, Serializer};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

/// A handle to the state.
#[derive(Debug)]
pub(super) struct Monitor {
    mapping: Arc<Mapping>,
    lock: Robust,
    watch: Robust,
    pub(super) bell: Bell,
    /// For a lock whose waiters all go on at once.
    pub(super) gate: Option<Gate>,
    /// The seat that this process had last.
    pub(super) seat: AtomicUsize,
}

/// What differs from one sort of lock to the other.
pub(super) struct Rules {
    /// The seats that stand in the way of who waits.
    pub(super) blockers: fn(&State<'_>) -> Vec<usize>,
    /// Gives back what the process in this seat had, which has ended.
    pub(super) reap: fn(&State<'_>, usize),
}

/// Whose turn it is to get something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Others may be waiting.
    Passing,
    /// The first of those who wait.
    First,
}

const WATCH: usize = robust::SIZE;
const WORDS: usize = 2 * robust::SIZE;

impl Monitor {
    /// How many bytes it takes; a value can lie behind.
    pub(super) const SIZE: usize = WORDS + LENGTH * size_of::<u64>();

    /// Makes one, in `size` bytes, with these in the words of the lock's own.
    pub(super) fn create(size: usize, own: &[u64]) -> io::Result<Self> {
        let mapping = Arc::new(Mapping::create(size)?);
        let monitor = Self {
            lock: Robust::create(&mapping, 0)?,
            watch: Robust::create(&mapping, WATCH)?,
            bell: Bell::create()?,
            gate: None,
            seat: AtomicUsize::new(0),
            mapping,
        };
        for (word, value) in monitor.words()[OWN..LOGGED].iter().zip(own) {
            word.store(*value, Ordering::Relaxed);
        }
        Ok(monitor)
    }

    /// Makes one whose waiters can all be woken at once.
    pub(super) fn create_with_gate(own: &[u64]) -> io::Result<Self> {
        Ok(Self {
            gate: Some(Gate::create()?),
            ..Self::create(Self::SIZE, own)?
        })
    }

    /// Shares what another process has made.
    pub(super) fn open((memory, bell, gate): Parts, size: usize) -> io::Result<Self> {
        let mapping = Arc::new(Mapping::open(memory.0, size)?);
        Ok(Self {
            lock: Robust::open(&mapping, 0),
            watch: Robust::open(&mapping, WATCH),
            bell: Bell::open(bell.0)?,
            gate: gate.map(|gate| Gate::open(gate.0)).transpose()?,
            seat: AtomicUsize::new(0),
            mapping,
        })
    }

    pub(super) fn has_gate(&self) -> bool {
        self.gate.is_some()
    }

    /// Listens at the gate.
    pub(super) fn listen(&self) -> io::Result<Listener> {
        let gate = self.gate.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        gate.listen()
    }

    /// What the holder of the watch listens to.
    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// Takes the watch if nobody has it.
    pub(super) fn try_watch(&self) -> io::Result<Option<robust::Guard<'_>>> {
        match self.watch.try_lock() {
            Ok(watch) => Ok(Some(watch)),
            Err(Refused::Busy) => Ok(None),
            Err(Refused::Held) => Err(io::ErrorKind::Deadlock.into()),
            Err(Refused::Invalid(error)) => Err(error),
        }
    }

    /// The memory.
    pub(super) fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }

    fn words(&self) -> &[AtomicU64] {
        self.mapping.slice(WORDS, LENGTH)
    }

    /// One of the words, as it is at the moment, without the lock.
    pub(super) fn peek(&self, word: usize) -> u64 {
        self.words()[word].load(Ordering::Relaxed)
    }

    /// Takes the lock; none if it was not had until the deadline.
    fn lock_until(&self, deadline: Option<Instant>) -> io::Result<Option<State<'_>>> {
        match self.lock.lock(deadline) {
            Ok(guard) => Ok(Some(State::new(self, self.words(), guard))),
            Err(Refused::Busy) => Ok(None),
            // A handler of a signal, in the middle of one of these.
            Err(Refused::Held) => Err(io::ErrorKind::Deadlock.into()),
            Err(Refused::Invalid(error)) => Err(error),
        }
    }

    /// Takes the lock.
    pub(super) fn lock(&self) -> io::Result<State<'_>> {
        Ok(self
            .lock_until(None)?
            .expect("without a deadline it is had"))
    }

    /// Makes an attempt, and another if somebody who stood in its way has died.
    pub(super) fn attempt<R>(
        &self,
        rules: &Rules,
        mut attempt: impl FnMut(&State<'_>, Turn) -> Option<R>,
    ) -> io::Result<Option<R>> {
        loop {
            let state = self.lock()?;
            if let Some(result) = attempt(&state, Turn::Passing) {
                return Ok(Some(result));
            }
            let blockers = state.blockers(rules);
            drop(state);
            if self.look(rules, &blockers)?.is_some() {
                break;
            }
        }
        // Who seemed to wait may have been killed.
        let Ok(_watch) = self.watch.try_lock() else {
            return Ok(None);
        };
        let state = self.lock()?;
        state.set(WATCHED, 0);
        Ok(attempt(&state, Turn::First))
    }

    /// Makes attempts until one succeeds, or the deadline has passed. `watched` says what for, to those who come after.
    pub(super) fn wait<R>(
        &self,
        deadline: Option<Instant>,
        watched: u64,
        rules: &Rules,
        mut attempt: impl FnMut(&State<'_>, Turn) -> Option<R>,
    ) -> io::Result<Option<R>> {
        let Some(state) = self.lock_until(deadline)? else {
            return Ok(None);
        };
        if let Some(result) = attempt(&state, Turn::Passing) {
            return Ok(Some(result));
        }
        drop(state);
        let watch = match self.watch.lock(deadline) {
            Ok(watch) => watch,
            Err(Refused::Busy) => return Ok(None),
            Err(Refused::Held) => return Err(io::ErrorKind::Deadlock.into()),
            Err(Refused::Invalid(error)) => return Err(error),
        };
        let result = self.keep_watch(deadline, watched, rules, attempt);
        if !matches!(result, Ok(Some(_)))
            && let Ok(Some(state)) = self.lock_until(Some(Instant::now()))
        {
            // If this is not to be had at once it stays as it is, which costs somebody a ring that nobody hears.
            state.set(WATCHED, 0);
        }
        drop(watch);
        result
    }

    fn keep_watch<R>(
        &self,
        deadline: Option<Instant>,
        watched: u64,
        rules: &Rules,
        mut attempt: impl FnMut(&State<'_>, Turn) -> Option<R>,
    ) -> io::Result<Option<R>> {
        loop {
            let Some(state) = self.lock_until(deadline)? else {
                return Ok(None);
            };
            if let Some(result) = attempt(&state, Turn::First) {
                state.set(WATCHED, 0);
                return Ok(Some(result));
            }
            state.set(WATCHED, watched);
            self.bell.clear()?;
            let blockers = state.blockers(rules);
            drop(state);
            let Some(pidfds) = self.look(rules, &blockers)? else {
                continue;
            };
            let mut fds = vec![(self.bell.as_fd(), For::Reading)];
            fds.extend(pidfds.iter().map(|pidfd| (pidfd.as_fd(), For::Reading)));
            let ready = wait::until_ready(&fds, deadline)?;
            if !ready.contains(&true) {
                return Ok(None);
            }
        }
    }

    /// Gives back what those had who have died, and returns what tells of the end of the others; none if there was one to reap.
    pub(super) fn look(
        &self,
        rules: &Rules,
        blockers: &[(usize, Peer)],
    ) -> io::Result<Option<Vec<OwnedFd>>> {
        let mut pidfds = Vec::new();
        let mut dead = Vec::new();
        for blocker in blockers {
            match blocker.1.watch()? {
                Watch::Pidfd(pidfd) => pidfds.push(pidfd),
                Watch::Gone => dead.push(*blocker),
                Watch::Elsewhere => {}
            }
        }
        if dead.is_empty() {
            return Ok(Some(pidfds));
        }
        let state = self.lock()?;
        for (seat, peer) in dead {
            // Somebody else may have done it, and somebody else sit there.
            if seat < CAPACITY && state.peer(seat) == peer && state.is_taken(seat) {
                (rules.reap)(&state, seat);
            }
        }
        Ok(None)
    }

    /// Gives back what all of those had who have died.
    pub(super) fn reap(&self, rules: &Rules) -> io::Result<()> {
        let taken =
            |state: &State<'_>| state.seats().filter(|seat| state.is_taken(*seat)).collect();
        let state = self.lock()?;
        let all = state.others(taken(&state));
        drop(state);
        self.look(rules, &all).map(drop)
    }
}

/// The descriptors, as they arrive.
pub(super) type Parts = (Fd<OwnedFd>, Fd<OwnedFd>, Option<Fd<OwnedFd>>);

/// The descriptors.
impl Serialize for Monitor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let gate = self.gate.as_ref().map(|gate| Fd(gate.as_fd()));
        (Fd(self.mapping.as_fd()), Fd(self.bell.as_fd()), gate).serialize(serializer)
    }
}
