//! What the locks with more than one holder are built on: a small state in shared memory, and who has what of it.
//!
//! # The parts
//!
//! - **The lock**, a robust mutex, under which the state is read and changed, for moments only.
//! - **The state**, a few words. A change is one store, or is written to a log first, and made again from there when the process that
//!   made it was killed in between: so it happens whole or not at all.
//! - **The seats**: which process has how much. What a process that has ended had is given back from there.
//! - **The gate**, an eventfd. Each of those who wait listens to it by an epoll of its own, so that each hears every ring.
//!
//! A process that can have what it wants at once takes the lock, changes the state and leaves, without a system call. One that
//! cannot says that it waits, and sleeps until the gate rings, or a process ends that has what it waits for (by its pidfd), or its time
//! is up. Then it looks again.
//!
//! # Why nobody waits for what can be had
//!
//! Those who wait do not depend on each other: there is no queue, and no waiter that watches for others. So one that is stopped, or
//! killed, delays nobody. The price is that every ring wakes all of them, and that they have no order.
//!
//! A sleeper has last looked under the lock. It has cleared its ear before that, and said that it waits before it let go of the
//! lock. All that stood in its way then belonged to processes whose pidfds it has. When something can be had since, one of these has
//! happened, also if anybody was killed between any two instructions:
//!
//! 1. *It was given back.* The giver rings before that, under the lock, if anybody has said that it waits; only then does it withdraw
//!    that word. So the sleeper's ear is full, and it looks again after it got the lock, that is after the change.
//! 2. *Its owner died with it.* Then the owner's pidfd is readable, the sleeper wakes, and gives it back for the dead, by ringing.
//! 3. *Another gave it back for the dead.* As 1.
//!
//! Whoever is killed with the lock leaves it to the next that wants it, which finishes from the log the change that was begun.
//!
//! # Without descriptors
//!
//! A wait takes descriptors: one to listen, and one for each process in its way. Where they cannot be had, the wait goes on without: a
//! sleeper that cannot listen sleeps on a number that every ring changes, and one that cannot watch a process looks again after
//! [`SLICE`]. So a wait never fails because a resource is missing.

use super::state::{FUTEX, GATE, LENGTH, LOGGED, OWN, State};
use crate::{
    Fd,
    sys::{
        futex,
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
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// A handle to the state.
#[derive(Debug)]
pub(super) struct Monitor {
    mapping: Arc<Mapping>,
    lock: Robust,
    gate: Gate,
    /// The seat that this process had last.
    pub(super) seat: AtomicUsize,
}

/// What differs from one sort of lock to the other.
pub(super) struct Rules {
    /// The seats that stand in the way of a waiter.
    pub(super) blockers: fn(&State<'_>) -> Vec<usize>,
    /// Gives back what the process in this seat had, which has ended.
    pub(super) reap: fn(&State<'_>, usize),
    /// After how long a waiter looks again though nothing has happened. None is never.
    pub(super) again: fn(&State<'_>) -> Option<Duration>,
}

/// Whether an attempt is made by one that will wait if it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Passing,
    Waiting,
}

/// The number that every ring changes, for those who have no descriptor to listen with.
const RINGS: usize = robust::SIZE;
const WORDS: usize = 2 * robust::SIZE;

/// After how long a waiter looks again that cannot be told of something.
const SLICE: Duration = Duration::from_millis(100);

/// How long one that does not wait allows another to finish its change: it holds the lock for moments only, unless it is stopped.
const MOMENT: Duration = Duration::from_millis(100);

impl Monitor {
    /// How many bytes it takes; a value can lie behind.
    pub(super) const SIZE: usize = WORDS + LENGTH * size_of::<u64>();

    /// Makes one, in `size` bytes, with these in the words of the lock's own.
    pub(super) fn create(size: usize, own: &[u64]) -> io::Result<Self> {
        Peer::learn()?;
        let mapping = Arc::new(Mapping::create(size)?);
        let monitor = Self {
            lock: Robust::create(&mapping, 0)?,
            gate: Gate::create()?,
            seat: AtomicUsize::new(0),
            mapping,
        };
        for (word, value) in monitor.words()[OWN..LOGGED].iter().zip(own) {
            word.store(*value, Ordering::Relaxed);
        }
        Ok(monitor)
    }

    /// Shares what another process has made.
    pub(super) fn open((memory, gate): Parts, size: usize) -> io::Result<Self> {
        Peer::learn()?;
        let mapping = Arc::new(Mapping::open(memory.0, size)?);
        Ok(Self {
            lock: Robust::open(&mapping, 0)?,
            gate: Gate::open(gate.0)?,
            seat: AtomicUsize::new(0),
            mapping,
        })
    }

    /// The memory.
    pub(super) fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }

    fn words(&self) -> &[AtomicU64] {
        self.mapping.slice(WORDS, LENGTH)
    }

    fn rings(&self) -> &AtomicU32 {
        self.mapping.get(RINGS)
    }

    /// One of the words, as it is at the moment, without the lock.
    pub(super) fn peek(&self, word: usize) -> u64 {
        self.words()[word].load(Ordering::Relaxed)
    }

    /// Wakes all who wait in one of these ways.
    pub(super) fn wake(&self, watched: u64) {
        if watched & GATE != 0 {
            // It cannot fail for an eventfd.
            let _ = self.gate.open_for_all();
        }
        if watched & FUTEX != 0 {
            self.rings().fetch_add(1, Ordering::Relaxed);
            futex::wake_all(self.rings());
        }
    }

    /// Takes the lock; none if another had it until the deadline.
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
            .expect("without a deadline the lock is taken"))
    }

    /// Takes the lock if nobody has stopped with it.
    pub(super) fn lock_soon(&self) -> io::Result<Option<State<'_>>> {
        self.lock_until(Some(Instant::now() + MOMENT))
    }

    /// Makes an attempt, and another if a process that stood in its way has died.
    pub(super) fn attempt<R>(
        &self,
        rules: &Rules,
        mut attempt: impl FnMut(&State<'_>, Turn) -> Option<R>,
    ) -> io::Result<Option<R>> {
        loop {
            let Some(state) = self.lock_soon()? else {
                return Ok(None);
            };
            if let Some(result) = attempt(&state, Turn::Passing) {
                return Ok(Some(result));
            }
            let blockers = state.others((rules.blockers)(&state));
            drop(state);
            if !self.bury_dead(rules, blockers)? {
                return Ok(None);
            }
        }
    }

    /// Makes attempts until one succeeds, or the deadline has passed.
    pub(super) fn wait<R>(
        &self,
        deadline: Option<Instant>,
        rules: &Rules,
        mut attempt: impl FnMut(&State<'_>, Turn) -> Option<R>,
    ) -> io::Result<Option<R>> {
        let Some(state) = self.lock_until(deadline)? else {
            return Ok(None);
        };
        if let Some(result) = attempt(&state, Turn::Waiting) {
            return Ok(Some(result));
        }
        drop(state);
        let mut sleeper = Sleeper::new(self);
        loop {
            sleeper.clear();
            let Some(state) = self.lock_until(deadline)? else {
                return Ok(None);
            };
            if let Some(result) = attempt(&state, Turn::Waiting) {
                return Ok(Some(result));
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Ok(None);
            }
            state.watch(sleeper.sort());
            let blockers = state.others((rules.blockers)(&state));
            let again = (rules.again)(&state);
            drop(state);
            let dead = sleeper.follow(blockers);
            if dead.is_empty() {
                sleeper.sleep(deadline, again);
            } else {
                self.bury(rules, &dead)?;
            }
        }
    }

    /// Gives back what the dead had.
    fn bury(&self, rules: &Rules, dead: &[(usize, Peer)]) -> io::Result<()> {
        let state = self.lock()?;
        for (seat, peer) in dead {
            // Somebody else may have done it, and somebody else sit there.
            if state.peer(*seat) == *peer && state.is_taken(*seat) {
                (rules.reap)(&state, *seat);
            }
        }
        Ok(())
    }

    /// Gives back what those of these had who have died; returns whether there was one.
    fn bury_dead(&self, rules: &Rules, mut peers: Vec<(usize, Peer)>) -> io::Result<bool> {
        peers.retain(|(_, peer)| matches!(peer.watch(), Watch::Gone));
        if peers.is_empty() {
            return Ok(false);
        }
        self.bury(rules, &peers)?;
        Ok(true)
    }

    /// Gives back what all of those had who have died.
    pub(super) fn reap(&self, rules: &Rules) -> io::Result<()> {
        let Some(state) = self.lock_soon()? else {
            return Ok(());
        };
        let all = state.others(state.taken());
        drop(state);
        self.bury_dead(rules, all).map(drop)
    }
}

/// One that waits: what wakes it.
struct Sleeper<'a> {
    monitor: &'a Monitor,
    /// None if it could not be made.
    listener: Option<Listener>,
    /// What the number was before the last look.
    rings: u32,
    watched: Vec<(Peer, OwnedFd)>,
    /// Whether something may happen that it is not told of.
    is_blind: bool,
}

impl<'a> Sleeper<'a> {
    fn new(monitor: &'a Monitor) -> Self {
        Self {
            monitor,
            listener: monitor.gate.listen().ok(),
            rings: 0,
            watched: Vec::new(),
            is_blind: false,
        }
    }

    /// Forgets what it has heard. The next thing is a look.
    fn clear(&mut self) {
        self.listener.take_if(|listener| listener.clear().is_err());
        self.rings = self.monitor.rings().load(Ordering::Relaxed);
    }

    /// Which wake-ups it needs.
    fn sort(&self) -> u64 {
        if self.listener.is_some() { GATE } else { FUTEX }
    }

    /// Watches these and no others; returns those that have ended.
    fn follow(&mut self, peers: Vec<(usize, Peer)>) -> Vec<(usize, Peer)> {
        self.watched
            .retain(|(peer, _)| peers.iter().any(|(_, wanted)| wanted == peer));
        self.is_blind = false;
        let mut dead = Vec::new();
        for (seat, peer) in peers {
            if self.watched.iter().any(|(known, _)| *known == peer) {
                continue;
            }
            match peer.watch() {
                Watch::Pidfd(pidfd) => self.watched.push((peer, pidfd)),
                Watch::Gone => dead.push((seat, peer)),
                Watch::Unseen => self.is_blind = true,
            }
        }
        dead
    }

    /// Sleeps until it has heard something, or one that it watches has ended, or it is time to look.
    fn sleep(&mut self, deadline: Option<Instant>, again: Option<Duration>) {
        let soon = |after: Duration| Instant::now() + after;
        let limits = [
            deadline,
            again.map(soon),
            self.is_blind.then(|| soon(SLICE)),
        ];
        let limit = limits.into_iter().flatten().min();
        if let Some(listener) = &self.listener {
            let mut fds = vec![(listener.as_fd(), For::Reading)];
            let pidfds = self.watched.iter().map(|(_, pidfd)| pidfd.as_fd());
            fds.extend(pidfds.map(|pidfd| (pidfd, For::Reading)));
            if let Ok(ready) = wait::until_ready(&fds, limit) {
                // What has ended is looked at anew.
                let mut ended = ready.into_iter().skip(1);
                self.watched.retain(|_| !ended.next().unwrap_or(false));
                return;
            }
            // More descriptors than the limit on open files allows: it does without from now on. That it sleeps on the number is to
            // be said before it does.
            self.listener = None;
            return;
        }
        // Nobody tells of an end here.
        self.watched.clear();
        let limit = limit.map_or_else(|| soon(SLICE), |limit| limit.min(soon(SLICE)));
        if futex::wait(self.monitor.rings(), self.rings, Some(limit)).is_err() {
            std::thread::yield_now();
        }
    }
}

/// The descriptors, as they arrive.
pub(super) type Parts = (Fd<OwnedFd>, Fd<OwnedFd>);

/// The descriptors.
impl Serialize for Monitor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (Fd(self.mapping.as_fd()), Fd(self.gate.as_fd())).serialize(serializer)
    }
}
