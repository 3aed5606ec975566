//! A lock with a value inside.

use super::timeout::LockTimeoutError;
use crate::{
    error::{Error, Result},
    shm::Plain,
    sys::{
        fd::{AsFd, OwnedFd},
        guarded::{Guarded, Writing},
        mapping::{Mapping, PAGE},
        robust::{self, Refused, Robust},
        wait,
    },
    wire::{self, Fd, Label},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
    fmt, io,
    ops::{Deref, DerefMut},
    sync::{
        Arc, LockResult, PoisonError, TryLockError, TryLockResult,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// A lock between processes, with the value that it guards inside. It is [`std::sync::Mutex`] for
/// processes.
///
/// A clone is a handle to the same lock, and so is a handle that another process receives as an
/// argument, as a result, or in a message, at any depth. The value is in memory that the processes
/// share, and is [plain data](Plain). The memory is freed when the last handle of any process is
/// dropped. The lock also works between threads of one process.
///
/// Taking a free lock and releasing it makes no system call.
///
/// # Poisoning
///
/// As in std, the lock is poisoned if a thread panics while it holds the lock. It is also poisoned
/// if the holder, a process or a thread, **ends** while it holds the lock, for whatever reason. The
/// next thread to lock gets the lock at once, with a [`PoisonError`], which says that the value may
/// be half changed. A holder that was killed never blocks another thread. A holder that is stopped
/// does.
///
/// When a thread ends, Linux releases at most 2048 mutexes that it holds, including those of queues
/// and of other locks. If a thread that holds more is killed, the rest stay locked.
///
/// # Forked copies
///
/// A forked copy of the process that holds the lock does not hold it. It can take the lock when its
/// parent has released it. The copy of the guard panics when it is used, and does nothing when it
/// is dropped.
///
/// # Time
///
/// A waiter is woken when the lock is released or the holder dies. The kernel wakes one waiter. If
/// that one is stopped (SIGSTOP), or is killed at that moment, the others may wait a tenth of a
/// second longer.
///
/// # Trust
///
/// All processes that share a lock can write to all of its memory, including the lock itself, and
/// can keep the lock for ever. So these processes must trust each other as threads do. A lock that
/// arrives is checked for its layout, type and length before it is used.
///
/// # Examples
///
/// ```
/// use procession::{process, sync::Mutex};
///
/// #[process]
/// fn work(total: &Mutex<u64>) {
///     for _ in 0..100 {
///         *total.lock().unwrap() += 1;
///     }
/// }
///
/// let total = Mutex::new(0)?;
/// let workers = [work::spawn(&total)?, work::spawn(&total)?];
/// for worker in workers {
///     worker.join()?;
/// }
/// assert_eq!(*total.lock().unwrap(), 200);
/// # Ok::<(), procession::Error>(())
/// ```
#[doc(alias = "Lock")]
#[doc(alias = "Value")]
pub struct Mutex<T> {
    inner: Arc<Inner<T>>,
}

struct Inner<T> {
    robust: Robust,
    value: Guarded<T>,
}

/// The offsets of the poison flag and of the value. The value may need a larger alignment.
const POISON: usize = robust::SIZE;
const VALUE: usize = 2 * robust::SIZE;

impl<T: Plain> Mutex<T> {
    /// Returns a new lock that is free and holds this value.
    ///
    /// # Errors
    ///
    /// Fails if the system has no memory or no descriptor left.
    #[allow(clippy::needless_pass_by_value, reason = "it becomes the lock's")]
    pub fn new(value: T) -> Result<Self> {
        let make = || {
            let mapping = Arc::new(Mapping::create(Self::length())?);
            io::Result::Ok(Self {
                inner: Arc::new(Inner {
                    robust: Robust::create(&mapping, 0)?,
                    value: Guarded::create(&mapping, Self::place(), value),
                }),
            })
        };
        make().map_err(|error| Error::os("a mutex cannot be made", error))
    }

    fn place() -> usize {
        const { assert!(align_of::<T>() <= PAGE, "the value is aligned too far") };
        VALUE.next_multiple_of(align_of::<T>())
    }

    fn length() -> usize {
        Self::place() + size_of::<T>()
    }

    fn open(fd: OwnedFd) -> io::Result<Self> {
        let mapping = Arc::new(Mapping::open(fd, Self::length())?);
        Ok(Self {
            inner: Arc::new(Inner {
                robust: Robust::open(&mapping, 0)?,
                value: Guarded::open(&mapping, Self::place()),
            }),
        })
    }

    /// Takes the lock, and returns a guard. Blocks until the lock is free, without a time limit.
    /// Dropping the guard releases the lock.
    ///
    /// # Errors
    ///
    /// Fails if the lock is poisoned. The lock is taken, and the error contains the guard.
    ///
    /// # Panics
    ///
    /// Panics if this thread holds the lock already, if a thread of this process leaked a guard and
    /// ended, or if this process is a forked copy in another PID namespace than the one that the
    /// lock was created in.
    #[doc(alias = "acquire")]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        match self.inner.robust.lock(None) {
            Ok(robust) => self.guard(robust),
            Err(refused) => refuse(&refused),
        }
    }

    /// Takes the lock if it is free. Does not block.
    ///
    /// # Errors
    ///
    /// Fails with [`TryLockError::WouldBlock`] if the lock is held, even if this thread holds it.
    /// Fails with [`TryLockError::Poisoned`] if it is poisoned. The lock is taken then, and the
    /// error contains the guard.
    ///
    /// # Panics
    ///
    /// Panics if a thread of this process leaked a guard and ended, or if this process is a forked
    /// copy in another PID namespace than the one that the lock was created in.
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        match self.inner.robust.try_lock() {
            Ok(robust) => Ok(self.guard(robust)?),
            Err(Refused::Busy | Refused::Held) => Err(TryLockError::WouldBlock),
            Err(refused) => refuse(&refused),
        }
    }

    /// Takes the lock. Blocks until the lock is free, at most for `timeout`.
    ///
    /// # Errors
    ///
    /// Fails with [`LockTimeoutError::TimedOut`] if the lock was held all the time. Fails with
    /// [`LockTimeoutError::Poisoned`] if it is poisoned. The lock is taken then, and the error
    /// contains the guard.
    ///
    /// # Panics
    ///
    /// Panics in the same cases as [`lock`](Self::lock).
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> Result<MutexGuard<'_, T>, LockTimeoutError<MutexGuard<'_, T>>> {
        self.lock_until(wait::deadline(timeout))
    }

    fn lock_until(
        &self,
        deadline: Option<Instant>,
    ) -> Result<MutexGuard<'_, T>, LockTimeoutError<MutexGuard<'_, T>>> {
        match self.inner.robust.lock(deadline) {
            Ok(robust) => Ok(self.guard(robust)?),
            Err(Refused::Busy) => Err(LockTimeoutError::TimedOut),
            Err(refused) => refuse(&refused),
        }
    }

    fn guard<'a>(&'a self, mut robust: robust::Guard<'a>) -> LockResult<MutexGuard<'a, T>> {
        let poison = self.poison();
        if robust.owner_died() {
            // Store first, recover second: a thread that is killed in between leaves a dead holder,
            // so the next thread poisons the lock again.
            poison.store(1, Ordering::Relaxed);
            robust.recovered();
        }
        let poisoned = poison.load(Ordering::Relaxed) != 0;
        let Ok(value) = self.inner.value.write() else {
            drop(robust);
            leaked();
        };
        let guard = MutexGuard {
            mutex: self,
            panicking: thread::panicking(),
            value,
            robust,
        };
        if poisoned {
            return Err(PoisonError::new(guard));
        }
        Ok(guard)
    }

    /// Returns whether the lock is poisoned. The death of a holder shows only when the lock is
    /// taken next.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.poison().load(Ordering::Relaxed) != 0
    }

    /// Marks the value as whole again: the lock is not poisoned any more.
    pub fn clear_poison(&self) {
        self.poison().store(0, Ordering::Relaxed);
    }

    fn poison(&self) -> &AtomicU32 {
        self.inner.value.mapping().get(POISON)
    }
}

/// Panics with the reason why a lock cannot be taken.
#[track_caller]
pub(super) fn refuse(refused: &Refused) -> ! {
    match refused {
        Refused::Invalid(error) => panic!("a lock cannot be used: {error}"),
        Refused::Busy | Refused::Held => panic!("a thread locked what it holds"),
    }
}

/// Panics because the value cannot be lent.
#[track_caller]
pub(super) fn leaked() -> ! {
    panic!("a guard of the lock was leaked, by a thread that has ended")
}

/// The guard that [`Mutex::lock`] returns. Dropping it releases the lock.
///
/// It cannot be sent to another thread.
///
/// # Examples
///
/// ```
/// use procession::sync::{Mutex, MutexGuard};
///
/// fn double(mut guard: MutexGuard<'_, u32>) {
///     *guard *= 2;
/// }
///
/// let mutex = Mutex::new(3)?;
/// double(mutex.lock().unwrap());
/// assert_eq!(*mutex.lock().unwrap(), 6);
/// # Ok::<(), procession::Error>(())
/// ```
#[must_use = "the lock is given back when this is dropped"]
pub struct MutexGuard<'a, T: Plain> {
    mutex: &'a Mutex<T>,
    /// Whether this thread was panicking when it took the lock. Such a panic does not poison the
    /// lock.
    panicking: bool,
    // Fields are dropped in this order: the loan of the value ends before the lock is released.
    value: Writing<'a, T>,
    robust: robust::Guard<'a>,
}

impl<'a, T: Plain> MutexGuard<'a, T> {
    pub(super) fn mutex(&self) -> &'a Mutex<T> {
        self.mutex
    }
}

impl<T: Plain> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Plain> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: Plain> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        if !self.panicking && thread::panicking() && self.robust.is_ours() {
            self.mutex.poison().store(1, Ordering::Relaxed);
        }
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Plain + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T> Clone for Mutex<T> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").finish_non_exhaustive()
    }
}

impl<T: Plain> Serialize for Mutex<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fd = Fd(self.inner.value.mapping().as_fd());
        (Label::of::<T>("Mutex"), fd).serialize(serializer)
    }
}

impl<'de, T: Plain> Deserialize<'de> for Mutex<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (label, Fd(fd)) = <(Label<'_>, Fd<OwnedFd>)>::deserialize(deserializer)?;
        label.check::<T, _>("Mutex")?;
        Self::open(fd).map_err(wire::unopened)
    }
}
