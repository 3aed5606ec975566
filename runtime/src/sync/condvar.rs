//! A condition variable between processes.

use super::{
    mutex::{Mutex, MutexGuard},
    timeout::WaitTimeoutResult,
};
use crate::{
    error::{Error, Result},
    shm::Plain,
    sys::{
        fd::{AsFd, OwnedFd},
        futex,
        mapping::Mapping,
        wait,
    },
    wire::{self, Fd, Label},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
    sync::{
        Arc, LockResult, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// Lets processes wait for a change of the value that a [`Mutex`] guards. It is
/// [`std::sync::Condvar`] for processes.
///
/// A clone is a handle to the same condition variable, and so is a handle that another process
/// receives.
///
/// # What a notification reaches
///
/// [`notify_one`](Self::notify_one) wakes **at least** one waiter. In fact it wakes all current
/// waiters: if the kernel woke only one, and that waiter was being killed, the notification would
/// be lost to the others. So no death loses a notification.
///
/// The price is that waiters can wake without a reason, as they can in std. So wait in a loop, or
/// by [`wait_while`](Self::wait_while). A waiter that was killed is not a waiter any more, and
/// delays nobody.
///
/// # Examples
///
/// ```
/// use procession::{process, sync::{Condvar, Mutex}};
///
/// #[process]
/// fn produce(cell: &Mutex<u32>, filled: &Condvar) {
///     *cell.lock().unwrap() = 42;
///     filled.notify_one();
/// }
///
/// let (cell, filled) = (Mutex::new(0)?, Condvar::new()?);
/// let producer = produce::spawn(&cell, &filled)?;
/// let value = filled.wait_while(cell.lock().unwrap(), |value| *value == 0).unwrap();
/// assert_eq!(*value, 42);
/// drop(value);
/// producer.join()?;
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Clone, Debug)]
#[doc(alias = "Condition")]
pub struct Condvar {
    mapping: Arc<Mapping>,
}

/// The number of notifications. Waiters sleep on this word.
const SEQUENCE: usize = 0;
/// The number of waiters, including those that were killed while they waited. If it is zero, a
/// notification makes no system call.
const WAITERS: usize = 4;
const LENGTH: usize = 8;

impl Condvar {
    /// Returns a new condition variable.
    ///
    /// # Errors
    ///
    /// Fails if the system has no memory or no descriptor left.
    pub fn new() -> Result<Self> {
        let mapping = Mapping::create(LENGTH)
            .map_err(|error| Error::os("a condition variable cannot be made", error))?;
        Ok(Self {
            mapping: Arc::new(mapping),
        })
    }

    /// Releases the lock, waits for a notification, and takes the lock again. Blocks without a time
    /// limit. It can also return without a notification.
    ///
    /// A notification that comes after the lock was released is not missed.
    ///
    /// # Errors
    ///
    /// Fails if the lock is poisoned when it is taken again. The error contains the guard.
    pub fn wait<'a, T: Plain>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        let mutex = self.sleep(guard, None).0;
        mutex.lock()
    }

    /// Waits until `condition` returns `false`. Blocks without a time limit.
    ///
    /// # Errors
    ///
    /// Fails in the same cases as [`wait`](Self::wait).
    pub fn wait_while<'a, T: Plain>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<MutexGuard<'a, T>> {
        while condition(&mut guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// Waits for a notification, at most for `timeout`, and takes the lock again. Taking the lock
    /// again has no time limit.
    ///
    /// # Errors
    ///
    /// Fails in the same cases as [`wait`](Self::wait).
    pub fn wait_timeout<'a, T: Plain>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        self.wait_until(guard, wait::deadline(timeout))
    }

    /// Waits until `condition` returns `false`, at most for `timeout`. The result says that the
    /// time was up only if `condition` still returns `true`.
    ///
    /// # Errors
    ///
    /// Fails in the same cases as [`wait`](Self::wait).
    pub fn wait_timeout_while<'a, T: Plain>(
        &self,
        mut guard: MutexGuard<'a, T>,
        timeout: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let deadline = wait::deadline(timeout);
        let mut timed_out = false;
        loop {
            let holds = condition(&mut guard);
            if !holds || timed_out {
                return Ok((guard, WaitTimeoutResult(holds)));
            }
            let result;
            (guard, result) = self.wait_until(guard, deadline)?;
            timed_out = result.timed_out();
        }
    }

    fn wait_until<'a, T: Plain>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Option<Instant>,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let (mutex, woken) = self.sleep(guard, deadline);
        let result = WaitTimeoutResult(!woken);
        match mutex.lock() {
            Ok(guard) => Ok((guard, result)),
            Err(poisoned) => Err(PoisonError::new((poisoned.into_inner(), result))),
        }
    }

    /// Releases the lock and sleeps. Returns whether it was woken before the deadline.
    fn sleep<'a, T: Plain>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Option<Instant>,
    ) -> (&'a Mutex<T>, bool) {
        let mutex = guard.mutex();
        let (sequence, waiters) = (self.word(SEQUENCE), self.word(WAITERS));
        // First count this waiter, then read the sequence, then release the lock. A notification
        // that does not see the waiter then comes before the read, so it does not concern this
        // wait.
        waiters.fetch_add(1, Ordering::SeqCst);
        let before = sequence.load(Ordering::SeqCst);
        drop(guard);
        let woken = futex::wait(sequence, before, deadline);
        waiters.fetch_sub(1, Ordering::SeqCst);
        // If the kernel refuses to wait, treat that as a wake-up without a reason.
        (mutex, woken.unwrap_or(true))
    }

    /// Wakes at least one waiter, if there is one. The caller need not hold the lock.
    #[doc(alias = "notify")]
    pub fn notify_one(&self) {
        // Wakes all of them: see "What a notification reaches".
        self.notify_all();
    }

    /// Wakes all current waiters. The caller need not hold the lock.
    pub fn notify_all(&self) {
        let sequence = self.word(SEQUENCE);
        sequence.fetch_add(1, Ordering::SeqCst);
        if self.word(WAITERS).load(Ordering::SeqCst) > 0 {
            futex::wake_all(sequence);
        }
    }

    fn word(&self, offset: usize) -> &AtomicU32 {
        self.mapping.get(offset)
    }
}

impl Serialize for Condvar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (Label::of::<()>("Condvar"), Fd(self.mapping.as_fd())).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Condvar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (label, Fd(fd)) = <(Label<'_>, Fd<OwnedFd>)>::deserialize(deserializer)?;
        label.check::<(), _>("Condvar")?;
        let mapping = Mapping::open(fd, LENGTH).map_err(wire::unopened)?;
        Ok(Self {
            mapping: Arc::new(mapping),
        })
    }
}
