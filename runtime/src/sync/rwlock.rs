//! A lock for many readers or one writer.

use super::{
    monitor::{Monitor, Parts, Rules, Turn},
    mutex::leaked,
    state::{CLAIM, OWN, Settle, State},
    timeout::LockTimeoutError,
};
use crate::{
    error::{Error, Result},
    shm::Plain,
    sys::{
        futex,
        guarded::{Guarded, Reading, Writing},
        mapping::PAGE,
        own,
        peer::Peer,
        wait,
    },
    wire::{self, Label},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
    fmt, io,
    marker::PhantomData,
    ops::{Deref, DerefMut},
    sync::{Arc, LockResult, PoisonError, TryLockError, TryLockResult},
    thread,
    time::{Duration, Instant},
};

/// A lock between processes that many may read under or one may write under: [`std::sync::RwLock`]
/// for processes.
///
/// A clone is a handle to the same lock, and so is what another process gets to which one is sent.
/// The value lies in memory that they share, and is [plain data](Plain). A lock that is free is
/// taken and given back without a system call.
///
/// # Order
///
/// While a writer waits, no new reader is let in. So a thread that reads must not take the lock to
/// read again. A writer that is stopped while it waits delays readers for a tenth of a second,
/// once; one that is killed does not. Beyond that there is no order: all who wait are woken when
/// the lock comes back, and the first that takes it has it.
///
/// # Stopped processes
///
/// A process that is stopped (SIGSTOP, a debugger) while it has the lock keeps it. One that is
/// stopped in the very instant in which it takes the lock or gives it back keeps others from taking
/// it until it goes on or ends. It keeps nobody from giving it back: dropping a guard waits for a
/// tenth of a second at most.
///
/// # Poisoning
///
/// The lock is poisoned when a thread panics while it writes, or a process ends while it does,
/// however it ends. If a reader is killed, its share comes back, and nothing is poisoned. Neither
/// blocks anybody. What is said of trust for a [`Mutex`](super::Mutex#trust) holds here too.
///
/// # Examples
///
/// ```
/// use procession::{process, sync::RwLock};
///
/// #[process]
/// fn lookup(rates: &RwLock<[f64; 2]>, currency: usize) -> f64 {
///     rates.read().unwrap()[currency]
/// }
///
/// let rates = RwLock::new([1.0, 1.1])?;
/// rates.write().unwrap()[1] = 1.2;
/// assert_eq!(lookup::spawn(&rates, 1)?.join()?, 1.2);
/// # Ok::<(), procession::Error>(())
/// ```
#[doc(alias = "RLock")]
pub struct RwLock<T> {
    pub(super) inner: Arc<Inner<T>>,
}

pub(super) struct Inner<T> {
    pub(super) monitor: Monitor,
    value: Guarded<T>,
}

/// How many read.
const READERS: usize = OWN;
/// Whether one writes.
const WRITER: usize = OWN + 1;
/// Whether a writer has died or panicked. It is changed without the lock, too: no log contains it.
const POISON: usize = OWN + 2;

/// What is counted of the posts in a seat: shares of readers, and of writers, that were given back.
const READS: usize = 0;
const WRITES: usize = 1;

/// There is nothing to request.
const SETTLE: Settle = Settle {
    seat: settle,
    request: |_, _| {},
};

/// How long a waiting writer keeps new readers out without saying so again.
///
/// It says so while it waits, from time to time. One that is stopped cannot, and so delays nobody
/// for longer.
const CLAIM_LASTS: Duration = Duration::from_millis(100);
const CLAIM_AGAIN: Duration = Duration::from_millis(40);

/// A reader waits for the writer, and for one that has a claim.
const READING: Rules = Rules {
    blockers: |state| {
        let writes = |seat: &usize| state.get(State::own(*seat).1) != 0;
        let writer = state.seats().find(writes);
        let claim = state.is_taken(CLAIM).then_some(CLAIM);
        // Only where 4096 processes read is there a third reason.
        match writer.or(claim) {
            Some(seat) => vec![seat],
            None => state.taken().collect(),
        }
    },
    reap,
    // One that has run out since the attempt is no reason to sleep.
    again: |state| {
        let is_claimed = state.is_taken(CLAIM);
        is_claimed.then(|| claim_left(state).unwrap_or_default())
    },
};

/// A writer waits for everybody.
const WRITING: Rules = Rules {
    blockers: |state| state.taken().collect(),
    reap,
    again: |_| Some(CLAIM_AGAIN),
};

/// The process in this seat has ended with what it had.
fn reap(state: &State<'_>, seat: usize) {
    if seat == CLAIM {
        state.ring();
        state.set(State::own(CLAIM).0, 0);
        return;
    }
    settle(state, seat);
    let (reads, writes) = State::own(seat);
    if state.get(writes) != 0 {
        // If this process is killed before the rest is done, the next one says it again.
        state.set(POISON, 1);
        give_back_writing(state, seat, []);
    }
    if state.get(reads) != 0 {
        give_back_reads(state, seat, state.get(reads), []);
    }
}

/// Gives shares of readers back, and makes more changes together with that.
fn give_back_reads<const N: usize>(
    state: &State<'_>,
    seat: usize,
    shares: u64,
    more: [(usize, u64); N],
) {
    let (reads, _) = State::own(seat);
    let left = state.get(reads).saturating_sub(shares);
    let readers = state.get(READERS).saturating_sub(shares);
    state.ring();
    let changes = [(READERS, readers), (reads, left)];
    state.change(changes.into_iter().chain(more));
}

/// The same for the share of a writer.
fn give_back_writing<const N: usize>(state: &State<'_>, seat: usize, more: [(usize, u64); N]) {
    let (_, writes) = State::own(seat);
    state.ring();
    let changes = [(WRITER, 0), (writes, 0)];
    state.change(changes.into_iter().chain(more));
}

fn settle(state: &State<'_>, seat: usize) {
    let [reads, writes] = state.unsettled(seat);
    if reads != 0 {
        give_back_reads(state, seat, reads, state.settled(seat, [reads, 0]));
    }
    if writes != 0 {
        give_back_writing(state, seat, state.settled(seat, [0, writes]));
    }
}

/// For how long the claim of a waiting writer still holds; none if there is none.
fn claim_left(state: &State<'_>) -> Option<Duration> {
    let until = Duration::from_nanos(state.get(State::own(CLAIM).0));
    let left = until
        .checked_sub(futex::since_boot())
        .filter(|left| !left.is_zero());
    // A clock of another time namespace may be far ahead.
    left.filter(|left| *left <= CLAIM_LASTS)
}

/// Says that a writer of this process waits, unless another process has said so.
fn claim(state: &State<'_>) {
    let (until, _) = State::own(CLAIM);
    if state.peer(CLAIM) != Peer::this() {
        if claim_left(state).is_some() {
            return;
        }
        state.set(until, 0);
        state.sit(CLAIM);
    }
    let end = futex::since_boot() + CLAIM_LASTS;
    state.set(until, u64::try_from(end.as_nanos()).unwrap_or(u64::MAX));
}

/// Whether the claim is this process's.
fn is_ours(state: &State<'_>) -> bool {
    state.get(State::own(CLAIM).0) != 0 && state.peer(CLAIM) == Peer::this()
}

fn take_to_read(state: &State<'_>) -> Option<usize> {
    if state.is_taken(CLAIM) && claim_left(state).is_none() {
        state.set(State::own(CLAIM).0, 0);
    }
    if state.get(WRITER) != 0 || state.is_taken(CLAIM) {
        return None;
    }
    // If there is no seat, one will come back.
    let seat = state.seat().ok()?;
    let (reads, _) = State::own(seat);
    let readers = state.get(READERS).saturating_add(1);
    state.change([
        (reads, state.get(reads).saturating_add(1)),
        (READERS, readers),
    ]);
    Some(seat)
}

fn take_to_write(state: &State<'_>, turn: Turn) -> Option<usize> {
    let is_free = state.get(WRITER) == 0 && state.get(READERS) == 0;
    let Some(seat) = is_free.then(|| state.seat().ok()).flatten() else {
        if turn == Turn::Waiting {
            claim(state);
        }
        return None;
    };
    let (_, writes) = State::own(seat);
    let mut changes = vec![(writes, 1), (WRITER, 1)];
    if turn == Turn::Waiting && is_ours(state) {
        changes.push((State::own(CLAIM).0, 0));
    }
    state.change(changes);
    Some(seat)
}

impl<T: Plain + Sync> RwLock<T> {
    /// Makes a lock, free, with this value in it.
    ///
    /// # Errors
    ///
    /// When the system has no memory or no descriptor to give.
    pub fn new(value: T) -> Result<Self> {
        let make = || {
            let monitor = Monitor::create(Self::length(), &[], &SETTLE)?;
            io::Result::Ok(Self {
                inner: Arc::new(Inner {
                    value: Guarded::create(monitor.mapping(), Self::place(), value),
                    monitor,
                }),
            })
        };
        make().map_err(|error| Error::os("a lock cannot be made", error))
    }

    fn place() -> usize {
        const { assert!(align_of::<T>() <= PAGE, "the value is aligned too far") };
        Monitor::SIZE.next_multiple_of(align_of::<T>())
    }

    fn length() -> usize {
        Self::place() + size_of::<T>()
    }

    /// Takes the lock to read, together with others, and waits for it for as long as that takes.
    ///
    /// # Errors
    ///
    /// When the lock is poisoned: the guard is in the error.
    ///
    /// # Panics
    ///
    /// When the memory of the lock was written over. When it is called by a handler of a signal
    /// that came while the same thread took or gave back this lock. When this process is a forked
    /// copy in another pid namespace.
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        self.read_until(None).map_err(without_deadline)
    }

    /// Takes the lock to read if that can be had at once.
    ///
    /// # Errors
    ///
    /// When it cannot, or the lock is poisoned.
    ///
    /// # Panics
    ///
    /// As for [`read`](Self::read).
    pub fn try_read(&self) -> TryLockResult<RwLockReadGuard<'_, T>> {
        let taken = self
            .inner
            .monitor
            .attempt(&READING, |state, _| take_to_read(state));
        let share = self.share(taken).ok_or(TryLockError::WouldBlock)?;
        Ok(self.reading(share)?)
    }

    /// Takes the lock to read, and waits for it no longer than that.
    ///
    /// # Errors
    ///
    /// When it was not to be had, or is poisoned.
    ///
    /// # Panics
    ///
    /// As for [`read`](Self::read).
    pub fn read_timeout(
        &self,
        timeout: Duration,
    ) -> Result<RwLockReadGuard<'_, T>, LockTimeoutError<RwLockReadGuard<'_, T>>> {
        self.read_until(wait::deadline(timeout))
    }

    /// Takes the lock to write, alone, and waits for it for as long as that takes.
    ///
    /// # Errors
    ///
    /// When the lock is poisoned: the guard is in the error.
    ///
    /// # Panics
    ///
    /// As for [`read`](Self::read).
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        self.write_until(None).map_err(without_deadline)
    }

    /// Takes the lock to write if that can be had at once.
    ///
    /// # Errors
    ///
    /// When it cannot, or the lock is poisoned.
    ///
    /// # Panics
    ///
    /// As for [`read`](Self::read).
    pub fn try_write(&self) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        let monitor = &self.inner.monitor;
        let taken = monitor.attempt(&WRITING, take_to_write);
        let share = self.share(taken).ok_or(TryLockError::WouldBlock)?;
        Ok(self.writing(share)?)
    }

    /// Takes the lock to write, and waits for it no longer than that.
    ///
    /// # Errors
    ///
    /// When it was not to be had, or is poisoned.
    ///
    /// # Panics
    ///
    /// As for [`read`](Self::read).
    pub fn write_timeout(
        &self,
        timeout: Duration,
    ) -> Result<RwLockWriteGuard<'_, T>, LockTimeoutError<RwLockWriteGuard<'_, T>>> {
        self.write_until(wait::deadline(timeout))
    }

    fn read_until(
        &self,
        deadline: Option<Instant>,
    ) -> Result<RwLockReadGuard<'_, T>, LockTimeoutError<RwLockReadGuard<'_, T>>> {
        let monitor = &self.inner.monitor;
        let taken = monitor.wait(deadline, &READING, |state, _| take_to_read(state));
        let share = self.share(taken).ok_or(LockTimeoutError::TimedOut)?;
        Ok(self.reading(share)?)
    }

    fn write_until(
        &self,
        deadline: Option<Instant>,
    ) -> Result<RwLockWriteGuard<'_, T>, LockTimeoutError<RwLockWriteGuard<'_, T>>> {
        let monitor = &self.inner.monitor;
        let taken = monitor.wait(deadline, &WRITING, take_to_write);
        if !matches!(taken, Ok(Some(_))) {
            self.withdraw();
        }
        let share = self.share(taken).ok_or(LockTimeoutError::TimedOut)?;
        Ok(self.writing(share)?)
    }

    /// This writer does not wait any more. If another one of this process does, it claims again.
    fn withdraw(&self) {
        // If a process has stopped with the lock, the claim ends by itself.
        if let Ok(Some(state)) = self.inner.monitor.lock_soon()
            && is_ours(&state)
        {
            state.ring();
            state.set(State::own(CLAIM).0, 0);
        }
    }

    fn share(&self, taken: io::Result<Option<usize>>) -> Option<Share<'_>> {
        let seat = taken.unwrap_or_else(|error| panic!("a lock cannot be waited for: {error}"))?;
        Some(Share {
            monitor: &self.inner.monitor,
            seat,
            holder: own::number(),
            writes: false,
            poisons: false,
            not_send: PhantomData,
        })
    }

    fn reading<'a>(&'a self, share: Share<'a>) -> LockResult<RwLockReadGuard<'a, T>> {
        let Ok(value) = self.inner.value.read() else {
            drop(share);
            leaked();
        };
        let guard = RwLockReadGuard {
            value,
            _share: share,
        };
        if self.is_poisoned() {
            return Err(PoisonError::new(guard));
        }
        Ok(guard)
    }

    fn writing<'a>(&'a self, mut share: Share<'a>) -> LockResult<RwLockWriteGuard<'a, T>> {
        share.writes = true;
        let Ok(value) = self.inner.value.write() else {
            drop(share);
            leaked();
        };
        let guard = RwLockWriteGuard {
            panicking: thread::panicking(),
            value,
            share,
        };
        if self.is_poisoned() {
            return Err(PoisonError::new(guard));
        }
        Ok(guard)
    }

    /// Returns whether the lock is poisoned. It never waits. That a writer was killed shows when
    /// the lock is taken next, and not before.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.inner.monitor.peek(POISON) != 0
    }

    /// Says that the value is whole again, so that the lock is not poisoned any more. It never
    /// waits.
    pub fn clear_poison(&self) {
        self.inner.monitor.store(POISON, 0);
    }
}

fn without_deadline<G>(error: LockTimeoutError<G>) -> PoisonError<G> {
    match error {
        LockTimeoutError::Poisoned(error) => error,
        LockTimeoutError::TimedOut => unreachable!("without a deadline the lock is taken"),
    }
}

/// What a process has of the lock, given back when this is dropped.
struct Share<'a> {
    monitor: &'a Monitor,
    seat: usize,
    /// A copy of the process that has it, made by a fork, does not have it.
    holder: u64,
    writes: bool,
    poisons: bool,
    /// As std's guards: a thread is asked not to take the lock twice, so it must be known which one
    /// has it.
    not_send: PhantomData<*const ()>,
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        if self.holder != own::number() {
            return;
        }
        if self.poisons {
            self.monitor.store(POISON, 1);
        }
        match (self.monitor.lock_to_give(), self.writes) {
            (Some(state), true) => give_back_writing(&state, self.seat, []),
            (Some(state), false) => give_back_reads(&state, self.seat, 1, []),
            (None, writes) => self.monitor.post(|post| {
                let which = if writes { WRITES } else { READS };
                post.give_back(self.seat, which, 1);
            }),
        }
    }
}

/// The lock, held to read: what [`RwLock::read`] returns. Dropping it gives the lock back, and
/// waits for no longer than a tenth of a second, whoever is [stopped](RwLock#stopped-processes).
///
/// # Examples
///
/// ```
/// use procession::sync::RwLock;
///
/// let lock = RwLock::new(7_u32)?;
/// let (one, another) = (lock.read().unwrap(), lock.read().unwrap());
/// assert_eq!((*one, *another), (7, 7));
/// # Ok::<(), procession::Error>(())
/// ```
#[must_use = "the lock is given back when this is dropped"]
pub struct RwLockReadGuard<'a, T: Plain> {
    // The order of these matters: the value comes back before the lock is given back.
    value: Reading<'a, T>,
    _share: Share<'a>,
}

/// The lock, held to write: what [`RwLock::write`] returns. Dropping it gives the lock back, and
/// waits for no longer than a tenth of a second, whoever is [stopped](RwLock#stopped-processes).
///
/// # Examples
///
/// ```
/// use procession::sync::RwLock;
///
/// let lock = RwLock::new(7_u32)?;
/// let mut guard = lock.write().unwrap();
/// *guard += 1;
/// assert!(lock.try_read().is_err());
/// drop(guard);
/// assert_eq!(*lock.read().unwrap(), 8);
/// # Ok::<(), procession::Error>(())
/// ```
#[must_use = "the lock is given back when this is dropped"]
pub struct RwLockWriteGuard<'a, T: Plain> {
    /// Whether this thread was panicking when it took the lock: then that is no reason to poison
    /// it.
    panicking: bool,
    // As above.
    value: Writing<'a, T>,
    share: Share<'a>,
}

impl<T: Plain> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Plain> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Plain> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: Plain> Drop for RwLockWriteGuard<'_, T> {
    fn drop(&mut self) {
        self.share.poisons = !self.panicking && thread::panicking();
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T> Clone for RwLock<T> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<T> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLock").finish_non_exhaustive()
    }
}

impl<T: Plain + Sync> Serialize for RwLock<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (Label::of::<T>("RwLock"), &self.inner.monitor).serialize(serializer)
    }
}

impl<'de, T: Plain + Sync> Deserialize<'de> for RwLock<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        type Whole<'a> = (Label<'a>, Parts);
        let (label, parts) = Whole::deserialize(deserializer)?;
        label.check::<T, _>("RwLock")?;
        let monitor = Monitor::open(parts, Self::length(), &SETTLE);
        let monitor = monitor.map_err(wire::unopened)?;
        Ok(Self {
            inner: Arc::new(Inner {
                value: Guarded::open(monitor.mapping(), Self::place()),
                monitor,
            }),
        })
    }
}
