//! What the locks with more than one holder are built on: a small state in shared memory, and who
//! has what of it.
//!
//! # The parts
//!
//! - **The lock**, a robust mutex, under which the state is read and changed, for moments only.
//! - **The state**, a few words. A change is one store, or is written to a log first. If the
//!   process that makes it is killed in between, the next holder of the lock makes it again from
//!   the log: a change happens whole or not at all.
//! - **The seats**: which process has how much. They say what to give back when a process has
//!   ended.
//! - **The gate**, an eventfd. Each waiter listens to it by an epoll of its own, so that each hears
//!   every ring.
//! - **The posts**: what was given back without the lock, and is not part of the state yet.
//!
//! A process that can have what it wants at once takes the lock, changes the state and leaves,
//! without a system call. One that cannot says that it waits, and sleeps until the gate rings, or a
//! process ends that has what it waits for (by its pidfd), or its time is up. Then it looks again.
//!
//! # Why nobody waits for what can be had
//!
//! The waiters do not depend on each other: there is no queue, and no waiter that watches for
//! others. So one that is stopped, or killed, delays nobody. The price is that every ring wakes all
//! of them, and that they have no order.
//!
//! A sleeper has last looked under the lock. It has cleared its ear before that, and said that it
//! waits before it let go of the lock. All that stood in its way then belonged to processes whose
//! pidfds it has. When something can be had since, one of these has happened, also if anybody was
//! killed between any two instructions:
//!
//! 1. *It was given back.* The giver rings before that, under the lock, if anybody has said that it
//!    waits; only then does it withdraw that word. So the sleeper's ear is full, and it looks again
//!    after it got the lock, that is after the change.
//! 2. *Its owner died with it.* Then the owner's pidfd is readable, the sleeper wakes, and gives it
//!    back for the dead, by ringing.
//! 3. *Another gave it back for the dead.* As 1.
//! 4. *It was posted.* See below.
//!
//! A process that is killed while it has the lock leaves it to the next that wants it, which
//! finishes from the log the change that was begun.
//!
//! # Posts
//!
//! A process can be stopped in the instant in which it has the lock. The lock is taken then until
//! the process goes on or ends. A taker has a deadline, or was told to wait without one. A giver
//! has neither. So it tries the lock for [`MOMENT`], and if it is taken all that time, the giver
//! *posts*: it adds to a counter in its seat (or, if it has no seat, changes the word of requests),
//! by atomic operations and without the lock. Whoever takes the lock next *settles* the posts,
//! before it looks at the state. So giving back ends in bounded time, and what is given back is in
//! the state whenever somebody looks at it.
//!
//! **Each post is settled once.** The counters of a seat only grow. What they have grown by since
//! they were last settled is what is to be done, and the change that does it also says, in the same
//! log, that this much is settled. So it makes no difference where a process is killed that
//! settles. The same holds for the word of requests. A global counter of posts, which grows after
//! the counter in the seat, makes the question whether there are any a comparison of two pairs of
//! words. If a poster is killed between these two, then its seat is that of a dead process, and its
//! counters are settled when that is given back. A seat with an unsettled post is taken: it cannot
//! come to another process.
//!
//! **No wake-up is lost.** A poster does five things, in this order: (a) it adds one to `POSTING`;
//! (b) it wakes all sleepers of both sorts, without a look at who has said that it waits: that word
//! can only be withdrawn under the lock; (c) it stores the post; (d) it wakes all again; (e) it
//! subtracts one from `POSTING`. A sleeper reads `POSTING` after it has cleared its ear, and before
//! it looks. If that is not zero, it sleeps no longer than [`SLICE`] and looks again. Now take a
//! poster that was stopped or killed anywhere after (c), and a sleeper that has last looked before
//! the post was stored:
//!
//! 1. *It cleared its ear before (b).* Then (b) has filled the ear. It wakes, and clears it again:
//!    that is one of the next two.
//! 2. *It cleared its ear after (b), and read a number that is not zero.* It looks again after
//!    `SLICE` at most, and finds the post.
//! 3. *It cleared its ear after (b), and read zero.* The clearing comes after (a), so the zero
//!    comes from (e). So it has read it after (c), and looked after that: it has seen the post,
//!    against what was supposed.
//!
//! So (d) makes it quick, and (b) makes it sure. A poster that was killed between (a) and (e)
//! leaves a number that is never zero again. It costs each sleeper a look in each `SLICE`, and
//! nothing else.
//!
//! A sleeper that finds the post and settles it rings before it changes the state, as every giver
//! does.
//!
//! # Without descriptors
//!
//! A wait takes descriptors: one to listen, and one for each process in its way. Where there are
//! none, the wait goes on without: a sleeper that cannot listen sleeps on a number that every ring
//! changes, for no longer than [`SLICE`] at a time, and one that cannot watch a process looks again
//! after that time. So a wait never fails because a resource is missing.

use super::state::{Board, FUTEX, GATE, LENGTH, LOGGED, OWN, POSTING, Post, Settle, State, WORDS};
use crate::{
    sys::{
        fd::{AsFd, OwnedFd},
        futex,
        gate::{Gate, GateWatch},
        mapping::Mapping,
        peer::{Peer, Watch},
        robust::{self, Refused, Robust},
        step::step,
        wait::{self, For},
    },
    wire::Fd,
};
use serde::{Serialize, Serializer};
use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

/// A handle to the state.
#[derive(Debug)]
pub(super) struct Monitor {
    lock: Robust,
    board: Board,
}

/// What differs from one sort of lock to the other.
pub(super) struct Rules {
    /// The seats that stand in the way of a waiter.
    pub(super) blockers: fn(&State<'_>) -> Vec<usize>,
    /// Gives back what the process in this seat had, which has ended, its posts included.
    pub(super) reap: fn(&State<'_>, usize),
    /// After how long a waiter looks again although nothing has happened; `None` is never.
    pub(super) again: fn(&State<'_>) -> Option<Duration>,
}

/// Whether an attempt is made by one that will wait if it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Passing,
    Waiting,
}

/// After how long a waiter looks again if it may not be told of something.
const SLICE: Duration = Duration::from_millis(100);

/// How long an operation that does not wait allows another process to finish its change. That
/// process has the lock for moments only, unless it is stopped. (It is shorter for the tests, which
/// stop a process at every point.)
const MOMENT: Duration = Duration::from_millis(if cfg!(test) { 10 } else { 100 });

impl Monitor {
    /// How many bytes it takes; a value can lie behind.
    pub(super) const SIZE: usize = WORDS + LENGTH * size_of::<u64>();

    /// Makes one, in `size` bytes, with these in the words of the lock's own.
    pub(super) fn create(size: usize, own: &[u64], settle: &'static Settle) -> io::Result<Self> {
        Peer::learn()?;
        let mapping = Arc::new(Mapping::create(size)?);
        let monitor = Self {
            lock: Robust::create(&mapping, 0)?,
            board: Board::new(mapping, Gate::create()?, settle),
        };
        for (word, value) in monitor.board.words()[OWN..LOGGED].iter().zip(own) {
            word.store(*value, Ordering::Relaxed);
        }
        Ok(monitor)
    }

    /// Shares what another process has made.
    pub(super) fn open(
        (memory, gate): Parts,
        size: usize,
        settle: &'static Settle,
    ) -> io::Result<Self> {
        Peer::learn()?;
        let mapping = Arc::new(Mapping::open(memory.0, size)?);
        Ok(Self {
            lock: Robust::open(&mapping, 0)?,
            board: Board::new(mapping, Gate::open(gate.0)?, settle),
        })
    }

    /// The memory.
    pub(super) fn mapping(&self) -> &Arc<Mapping> {
        &self.board.mapping
    }

    /// One of the words, as it is at the moment, without the lock.
    pub(super) fn peek(&self, word: usize) -> u64 {
        self.board.words()[word].load(Ordering::Relaxed)
    }

    /// Changes one of the words without the lock. It must be one that a log never contains.
    pub(super) fn store(&self, word: usize, value: u64) {
        step();
        self.board.words()[word].store(value, Ordering::Release);
    }

    /// Whether there are posts that may not be settled.
    pub(super) fn has_posts(&self) -> bool {
        Post(self.board.words()).is_pending()
    }

    /// By how much the word of requests has grown since it was last applied.
    pub(super) fn requested(&self) -> u64 {
        let (requested, applied) = Post(self.board.words()).requests();
        requested.wrapping_sub(applied)
    }

    /// Settles what was posted, unless somebody has stopped with the lock.
    pub(super) fn settle_soon(&self) {
        if self.has_posts() {
            // The lock settles. If it is not to be had, the posts stay where they are.
            let _ = self.lock_soon();
        }
    }

    /// Gives something back without the lock: `store` does it. The [module](self) says why the
    /// order is this one.
    pub(super) fn post<R>(&self, store: impl FnOnce(Post<'_>) -> R) -> R {
        let posting = &self.board.words()[POSTING];
        step();
        posting.fetch_add(1, Ordering::SeqCst);
        step();
        self.board.wake(GATE | FUTEX);
        let result = store(Post(self.board.words()));
        step();
        self.board.wake(GATE | FUTEX);
        step();
        posting.fetch_sub(1, Ordering::SeqCst);
        result
    }

    #[inline]
    fn judge<'a>(
        &'a self,
        locked: Result<robust::Guard<'a>, Refused>,
    ) -> io::Result<Option<State<'a>>> {
        match locked {
            Ok(guard) => Ok(Some(State::new(&self.board, guard))),
            Err(Refused::Busy) => Ok(None),
            // A handler of a signal has interrupted this thread while it had the lock.
            Err(Refused::Held) => Err(io::ErrorKind::Deadlock.into()),
            Err(Refused::Invalid(error)) => Err(error),
        }
    }

    /// Takes the lock; none if another had it until the deadline.
    pub(super) fn lock_until(&self, deadline: Option<Instant>) -> io::Result<Option<State<'_>>> {
        self.judge(self.lock.lock(deadline))
    }

    /// Takes the lock if nobody has stopped with it.
    #[inline]
    pub(super) fn lock_soon(&self) -> io::Result<Option<State<'_>>> {
        // If nobody has it, it is taken without a look at the clock.
        match self.lock.try_lock() {
            Err(Refused::Busy) => self.lock_until(Some(in_a_moment())),
            locked => self.judge(locked),
        }
    }

    /// Takes the lock to give something back. `None` means that it must be posted.
    ///
    /// # Panics
    ///
    /// When the memory was written over.
    #[inline]
    pub(super) fn lock_to_give(&self) -> Option<State<'_>> {
        match self.lock_soon() {
            Ok(state) => state,
            // This thread has it: see `judge`.
            Err(error) if error.kind() == io::ErrorKind::Deadlock => None,
            Err(error) => panic!("the memory of the lock is not whole: {error}"),
        }
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
                continue;
            }
            let Some(state) = self.lock_until(deadline)? else {
                return Ok(None);
            };
            bury(&state, rules, &dead);
        }
    }

    /// Gives back what the dead among these processes had; returns whether it has done so.
    fn bury_dead(&self, rules: &Rules, mut peers: Vec<(usize, Peer)>) -> io::Result<bool> {
        peers.retain(|(_, peer)| matches!(peer.watch(), Watch::Gone));
        if peers.is_empty() {
            return Ok(false);
        }
        let Some(state) = self.lock_soon()? else {
            return Ok(false);
        };
        bury(&state, rules, &peers);
        Ok(true)
    }

    /// Gives back what all the dead had.
    pub(super) fn reap(&self, rules: &Rules) -> io::Result<()> {
        let Some(state) = self.lock_soon()? else {
            return Ok(());
        };
        let all = state.others(state.taken());
        drop(state);
        self.bury_dead(rules, all).map(drop)
    }
}

/// Until when one that does not wait tries to take the lock.
pub(super) fn in_a_moment() -> Instant {
    Instant::now() + MOMENT
}

/// Gives back what the dead had.
fn bury(state: &State<'_>, rules: &Rules, dead: &[(usize, Peer)]) {
    for (seat, peer) in dead {
        // Another process may have done it, and may sit there by now.
        if state.peer(*seat) == *peer && state.is_taken(*seat) {
            (rules.reap)(state, *seat);
        }
    }
}

/// What wakes a waiter.
struct Sleeper<'a> {
    monitor: &'a Monitor,
    /// None if it could not be made.
    listener: Option<GateWatch>,
    /// What the number was before the last look.
    rings: u32,
    watched: Vec<(Peer, OwnedFd)>,
    /// Whether a process in its way may end without its being told.
    is_blind: bool,
    /// Whether something may be posted without its being told: a poster had begun, and not ended.
    is_deaf: bool,
}

impl<'a> Sleeper<'a> {
    fn new(monitor: &'a Monitor) -> Self {
        Self {
            monitor,
            listener: monitor.board.gate.listen().ok(),
            rings: 0,
            watched: Vec::new(),
            is_blind: false,
            is_deaf: false,
        }
    }

    /// Forgets what it has heard. The next thing is a look.
    fn clear(&mut self) {
        self.listener.take_if(|listener| listener.clear().is_err());
        self.rings = self.monitor.board.rings().load(Ordering::Relaxed);
        self.is_deaf = self.monitor.board.words()[POSTING].load(Ordering::SeqCst) != 0;
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

    /// Sleeps until it has heard something, or one that it watches has ended, or it is time to
    /// look.
    fn sleep(&mut self, deadline: Option<Instant>, again: Option<Duration>) {
        let soon = |after: Duration| Instant::now() + after;
        let limits = [
            deadline,
            again.map(soon),
            (self.is_blind || self.is_deaf).then(|| soon(SLICE)),
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
            // More descriptors than the limit on open files allows: it does without from now on. It
            // must say that it sleeps on the number before it does.
            self.listener = None;
            return;
        }
        // Nobody tells of an end here.
        self.watched.clear();
        let limit = limit.map_or_else(|| soon(SLICE), |limit| limit.min(soon(SLICE)));
        if futex::wait(self.monitor.board.rings(), self.rings, Some(limit)).is_err() {
            std::thread::yield_now();
        }
    }
}

/// The descriptors, as they arrive.
pub(super) type Parts = (Fd<OwnedFd>, Fd<OwnedFd>);

/// The descriptors.
impl Serialize for Monitor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (Fd(self.board.mapping.as_fd()), Fd(self.board.gate.as_fd())).serialize(serializer)
    }
}
