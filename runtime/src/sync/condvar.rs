//! Waiting for a change of what a mutex guards.

use super::{
    mutex::{Mutex, MutexGuard},
    timeout::WaitTimeoutResult,
};
use crate::{
    error::{Error, Result},
    shm::Plain,
    sys::{futex, mapping::Mapping, wait},
    wire::{self, Fd, Label},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, LockResult, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// Lets processes wait for a change of what a [`Mutex`] guards: [`std::sync::Condvar`] for processes.
///
/// A clone is a handle to the same one, and so is what another process gets to which one is sent.
///
/// # What a notification reaches
///
/// [`notify_one`](Self::notify_one) wakes **at least** one waiter, and in fact all that wait at the moment. Were it one that the kernel
/// picks, and that one was being killed, the notification would be lost to the living. So no death loses one, at the price that waiters
/// wake for nothing, which std's may as well: wait in a loop, or by [`wait_while`](Self::wait_while). A waiter that is killed is no
/// waiter any more, and costs nobody anything.
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

/// How often there was a notification: what waiters sleep on.
const SEQUENCE: usize = 0;
/// How many wait, or have been killed while they did: with none, a notification is no system call.
const WAITERS: usize = 4;
const LENGTH: usize = 8;

impl Condvar {
    /// Makes one.
    ///
    /// # Errors
    ///
    /// When the system has no memory or no descriptor to give.
    pub fn new() -> Result<Self> {
        let mapping = Mapping::create(LENGTH)
            .map_err(|error| Error::os("a condition variable cannot be made", error))?;
        Ok(Self {
            mapping: Arc::new(mapping),
        })
    }

    /// Gives the lock back, waits for a notification, and takes the lock again. It may return without one.
    ///
    /// A notification that comes after the lock was given back is not missed.
    ///
    /// # Errors
    ///
    /// When the lock is poisoned when it is taken again: the guard is in the error.
    pub fn wait<'a, T: Plain>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        let mutex = self.sleep(guard, None).0;
        mutex.lock()
    }

    /// Waits until `condition` does not hold any more.
    ///
    /// # Errors
    ///
    /// As for [`wait`](Self::wait).
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

    /// Waits for a notification, but no longer than that; the lock is taken again then, for as long as that takes.
    ///
    /// # Errors
    ///
    /// As for [`wait`](Self::wait).
    pub fn wait_timeout<'a, T: Plain>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        self.wait_until(guard, wait::deadline(timeout))
    }

    /// Waits until `condition` does not hold any more, but no longer than that. The time is up only if the condition still holds.
    ///
    /// # Errors
    ///
    /// As for [`wait`](Self::wait).
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

    /// Gives the lock back and sleeps; returns whether it was woken before the deadline.
    fn sleep<'a, T: Plain>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Option<Instant>,
    ) -> (&'a Mutex<T>, bool) {
        let mutex = guard.mutex();
        let (sequence, waiters) = (self.word(SEQUENCE), self.word(WAITERS));
        // First this, then the number: a notification that does not see a waiter comes before the number was read.
        waiters.fetch_add(1, Ordering::SeqCst);
        let before = sequence.load(Ordering::SeqCst);
        drop(guard);
        let woken = futex::wait(sequence, before, deadline);
        waiters.fetch_sub(1, Ordering::SeqCst);
        // If the kernel refuses, it is as if it had been woken for nothing.
        (mutex, woken.unwrap_or(true))
    }

    /// Wakes at least one waiter, if there is any. It need not hold the lock.
    #[doc(alias = "notify")]
    pub fn notify_one(&self) {
        // All of them: see above.
        self.notify_all();
    }

    /// Wakes all who wait at the moment. It need not hold the lock.
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
