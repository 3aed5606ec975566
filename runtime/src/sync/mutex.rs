//! A lock with a value in it.

use super::timeout::LockTimeoutError;
use crate::{
    error::{Error, Result},
    shm::Plain,
    sys::{
        mapping::{Mapping, PAGE},
        robust::{self, Refused, Robust},
        value::{Value, Writing},
        wait,
    },
    wire::{self, Fd, Label},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
    fmt, io,
    ops::{Deref, DerefMut},
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, LockResult, PoisonError, TryLockError, TryLockResult,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// A lock between processes, with the value that it guards inside: [`std::sync::Mutex`] for processes.
///
/// A clone is a handle to the same lock, and so is what another process gets to which one is sent: as an argument, a result, or in a
/// message, at any depth. The value lies in memory that they share, and is [plain data](Plain). When the last handle is dropped,
/// wherever it is, the memory is gone. Within one process it serves threads as well.
///
/// A lock that is free is taken and given back without a system call.
///
/// # Poisoning
///
/// As in std the lock is poisoned when a thread panics while it holds the lock. It is poisoned too when a process **ends** while it
/// does, however it ends, or a thread: the next one to lock gets the lock at once, and with it the [`PoisonError`] that says that the
/// value may be half changed. A holder that was killed never blocks anybody; one that is stopped does.
///
/// Linux gives back 2048 mutexes of a thread that ends, those of queues and other locks included. If a thread is killed that holds more
/// at that moment, the rest stay locked.
///
/// # Forked copies
///
/// A copy of the process that has the lock, made by a fork, does not have it. It can take the lock when its parent has given it back. The
/// copy of the guard panics when it is used, and does nothing when it is dropped.
///
/// # Time
///
/// A thread that waits is woken when the lock is given back or the holder dies. If the thread that the kernel wakes is itself stopped
/// (SIGSTOP), or killed at that moment, the others may wait a tenth of a second longer.
///
/// # Trust
///
/// Who shares a lock can write to all of its memory, the lock itself included, and can keep the lock for ever. Processes that do so
/// trust each other as threads do. What arrives as a lock is checked for its form, type and length before it is one.
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
    value: Value<T>,
}

/// Where the flag is, and the value, which is aligned further if need be.
const POISON: usize = robust::SIZE;
const VALUE: usize = 2 * robust::SIZE;

impl<T: Plain> Mutex<T> {
    /// Makes a lock, free, with this value in it.
    ///
    /// # Errors
    ///
    /// When the system has no memory or no descriptor to give.
    #[allow(clippy::needless_pass_by_value, reason = "it becomes the lock's")]
    pub fn new(value: T) -> Result<Self> {
        let make = || {
            let mapping = Arc::new(Mapping::create(Self::length())?);
            io::Result::Ok(Self {
                inner: Arc::new(Inner {
                    robust: Robust::create(&mapping, 0)?,
                    value: Value::create(&mapping, Self::place(), value),
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
                value: Value::open(&mapping, Self::place()),
            }),
        })
    }

    /// Takes the lock, and waits for it for as long as that takes. Dropping the guard gives it back.
    ///
    /// # Errors
    ///
    /// When the lock is poisoned: the guard is in the error.
    ///
    /// # Panics
    ///
    /// When this thread holds the lock already. When this process is a forked copy in another pid namespace than the one that the lock
    /// was made in.
    #[doc(alias = "acquire")]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        match self.inner.robust.lock(None) {
            Ok(robust) => self.guard(robust),
            Err(refused) => refuse(&refused),
        }
    }

    /// Takes the lock if it is free.
    ///
    /// # Errors
    ///
    /// When it is not, be it held by this thread, or when it is poisoned.
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        match self.inner.robust.try_lock() {
            Ok(robust) => Ok(self.guard(robust)?),
            Err(Refused::Busy | Refused::Held) => Err(TryLockError::WouldBlock),
            Err(refused) => refuse(&refused),
        }
    }

    /// Takes the lock, and waits for it no longer than that.
    ///
    /// # Errors
    ///
    /// When it was held for all of the time, or is poisoned.
    ///
    /// # Panics
    ///
    /// When this thread holds the lock already.
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
            // In this order: whoever is killed in between leaves a death to the next one.
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

    /// Returns whether the lock is poisoned. That a holder has died shows when the lock is taken next, and not before.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.poison().load(Ordering::Relaxed) != 0
    }

    /// Says that the value is whole again, so that the lock is poisoned no more.
    pub fn clear_poison(&self) {
        self.poison().store(0, Ordering::Relaxed);
    }

    fn poison(&self) -> &AtomicU32 {
        self.inner.value.mapping().get(POISON)
    }
}

/// Says why a lock that cannot be taken cannot be.
#[track_caller]
pub(super) fn refuse(refused: &Refused) -> ! {
    match refused {
        Refused::Invalid(error) => panic!("a lock cannot be used: {error}"),
        Refused::Busy | Refused::Held => panic!("a thread locked what it holds"),
    }
}

/// Says that the value cannot be lent.
#[track_caller]
pub(super) fn leaked() -> ! {
    panic!("a guard of the lock was leaked, by a thread that has ended")
}

/// The lock, held: what [`Mutex::lock`] returns. Dropping it gives the lock back.
///
/// It stays with the thread that has locked.
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
    /// Whether this thread was panicking when it took the lock: then that is no reason to poison it.
    panicking: bool,
    // The order of these matters: the value comes back before the lock is given back.
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
