//! A lock that its holder may take again.

use super::{
    mutex::{leaked, refuse},
    timeout::LockTimeoutError,
};
use crate::{
    error::{Error, Result},
    shm::Plain,
    sys::{
        fd::{AsFd, OwnedFd},
        guarded::{Guarded, Reading},
        mapping::{Mapping, PAGE},
        own,
        robust::{self, Refused, Robust},
        wait,
    },
    wire::{self, Fd, Label},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
    fmt, io,
    marker::PhantomData,
    ops::Deref,
    sync::{
        Arc, LockResult, PoisonError, TryLockError, TryLockResult,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// A lock between processes that the thread that holds it may take again, any number of times.
///
/// Other threads can take the lock when all of the guards are dropped. There may be several guards,
/// so a guard gives only `&T`: change atomics, or data elsewhere. What [`Mutex`](super::Mutex) says
/// about poisoning, trust, system calls and handles applies here too.
///
/// # Examples
///
/// ```
/// use procession::sync::ReentrantMutex;
/// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
///
/// fn deposit(balance: &ReentrantMutex<AtomicU64>, amount: u64) {
///     balance.lock().unwrap().fetch_add(amount, Relaxed);
/// }
///
/// let balance = ReentrantMutex::new(AtomicU64::new(0))?;
/// let guard = balance.lock().unwrap();
/// deposit(&balance, 5); // takes it again
/// assert_eq!(guard.load(Relaxed), 5);
/// # Ok::<(), procession::Error>(())
/// ```
#[doc(alias = "RLock")]
pub struct ReentrantMutex<T> {
    inner: Arc<Inner<T>>,
}

struct Inner<T> {
    robust: Robust,
    value: Guarded<T>,
}

const POISON: usize = robust::SIZE;
/// The number of guards. Only the holder reads and writes it.
const DEPTH: usize = robust::SIZE + 4;
const VALUE: usize = 2 * robust::SIZE;

impl<T: Plain + Sync> ReentrantMutex<T> {
    /// Returns a new lock that is free and holds this value.
    ///
    /// # Errors
    ///
    /// Fails if the system has no memory or no descriptor left.
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

    /// Takes the lock, or takes it again, and returns a guard. Blocks until no other thread holds
    /// the lock, without a time limit. Dropping the last guard of the thread releases the lock.
    ///
    /// # Errors
    ///
    /// Fails if the lock is poisoned. The lock is taken, and the error contains the guard.
    ///
    /// # Panics
    ///
    /// Panics if this thread has taken the lock 4294967295 times, or if this process is a forked
    /// copy in another PID namespace than the one that the lock was created in.
    #[doc(alias = "acquire")]
    pub fn lock(&self) -> LockResult<ReentrantMutexGuard<'_, T>> {
        match self.lock_until(None) {
            Ok(guard) => Ok(guard),
            Err(LockTimeoutError::Poisoned(error)) => Err(error),
            Err(LockTimeoutError::TimedOut) => unreachable!("without a deadline the lock is taken"),
        }
    }

    /// Takes the lock if no other thread holds it. Does not block.
    ///
    /// # Errors
    ///
    /// Fails with [`TryLockError::WouldBlock`] if another thread holds the lock. Fails with
    /// [`TryLockError::Poisoned`] if it is poisoned. The lock is taken then, and the error contains
    /// the guard.
    ///
    /// # Panics
    ///
    /// Panics in the same cases as [`lock`](Self::lock).
    pub fn try_lock(&self) -> TryLockResult<ReentrantMutexGuard<'_, T>> {
        match self.enter(self.inner.robust.try_lock()) {
            Ok(guard) => Ok(guard),
            Err(LockTimeoutError::Poisoned(error)) => Err(error.into()),
            Err(LockTimeoutError::TimedOut) => Err(TryLockError::WouldBlock),
        }
    }

    /// Takes the lock, or takes it again. Blocks until no other thread holds the lock, at most for
    /// `timeout`.
    ///
    /// # Errors
    ///
    /// Fails with [`LockTimeoutError::TimedOut`] if another thread held the lock all the time.
    /// Fails with [`LockTimeoutError::Poisoned`] if it is poisoned. The lock is taken then, and the
    /// error contains the guard.
    ///
    /// # Panics
    ///
    /// Panics in the same cases as [`lock`](Self::lock).
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> Result<ReentrantMutexGuard<'_, T>, LockTimeoutError<ReentrantMutexGuard<'_, T>>> {
        self.lock_until(wait::deadline(timeout))
    }

    fn lock_until(
        &self,
        deadline: Option<Instant>,
    ) -> Result<ReentrantMutexGuard<'_, T>, LockTimeoutError<ReentrantMutexGuard<'_, T>>> {
        self.enter(self.inner.robust.lock(deadline))
    }

    fn enter<'a>(
        &'a self,
        taken: Result<robust::Guard<'a>, Refused>,
    ) -> Result<ReentrantMutexGuard<'a, T>, LockTimeoutError<ReentrantMutexGuard<'a, T>>> {
        let (poison, depth) = (self.word(POISON), self.word(DEPTH));
        let robust = match taken {
            Ok(mut robust) => {
                if robust.owner_died() {
                    // Store first, recover second: a thread that is killed in between leaves a dead
                    // holder, so the next thread poisons the lock again.
                    poison.store(1, Ordering::Relaxed);
                    robust.recovered();
                }
                depth.store(1, Ordering::Relaxed);
                Some(robust)
            }
            Err(Refused::Held) => {
                let deeper = depth.load(Ordering::Relaxed).checked_add(1);
                let deeper = deeper.expect("it is not taken that often");
                depth.store(deeper, Ordering::Relaxed);
                None
            }
            Err(Refused::Busy) => return Err(LockTimeoutError::TimedOut),
            Err(refused) => refuse(&refused),
        };
        let Ok(value) = self.inner.value.read() else {
            // The value is never lent for writing.
            leaked();
        };
        let guard = ReentrantMutexGuard {
            mutex: self,
            panicking: thread::panicking(),
            holder: own::number(),
            value,
            not_send: PhantomData,
        };
        // Keep the lock held without this guard. The last `ReentrantMutexGuard` to be dropped
        // releases it, and it is not known yet which one that will be.
        std::mem::forget(robust);
        if poison.load(Ordering::Relaxed) != 0 {
            return Err(PoisonError::new(guard).into());
        }
        Ok(guard)
    }

    /// Returns whether the lock is poisoned. The death of a holder shows only when the lock is
    /// taken next.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.word(POISON).load(Ordering::Relaxed) != 0
    }

    /// Marks the guarded data as whole again: the lock is not poisoned any more.
    pub fn clear_poison(&self) {
        self.word(POISON).store(0, Ordering::Relaxed);
    }
}

impl<T: Plain> ReentrantMutex<T> {
    fn word(&self, offset: usize) -> &AtomicU32 {
        self.inner.value.mapping().get(offset)
    }
}

/// The guard that [`ReentrantMutex::lock`] returns. Dropping the last guard of a thread releases
/// the lock.
///
/// It cannot be sent to another thread.
///
/// # Examples
///
/// ```
/// use procession::sync::ReentrantMutex;
///
/// let mutex = ReentrantMutex::new(3_u32)?;
/// let (outer, inner) = (mutex.lock().unwrap(), mutex.lock().unwrap());
/// drop(outer);
/// assert_eq!(*inner, 3);
/// # Ok::<(), procession::Error>(())
/// ```
#[must_use = "the lock is given back when this is dropped"]
pub struct ReentrantMutexGuard<'a, T: Plain> {
    mutex: &'a ReentrantMutex<T>,
    panicking: bool,
    /// The process that holds the lock. A forked copy of it does not.
    holder: u64,
    value: Reading<'a, T>,
    not_send: PhantomData<*const ()>,
}

impl<T: Plain> Deref for ReentrantMutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Plain> Drop for ReentrantMutexGuard<'_, T> {
    fn drop(&mut self) {
        let robust = &self.mutex.inner.robust;
        if self.holder != own::number() {
            return;
        }
        let Some(held) = robust.held() else { return };
        if !self.panicking && thread::panicking() {
            self.mutex.word(POISON).store(1, Ordering::Relaxed);
        }
        let depth = self.mutex.word(DEPTH);
        let left = depth.load(Ordering::Relaxed).saturating_sub(1);
        depth.store(left, Ordering::Relaxed);
        if left > 0 {
            std::mem::forget(held);
        }
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for ReentrantMutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T> Clone for ReentrantMutex<T> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<T> fmt::Debug for ReentrantMutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReentrantMutex").finish_non_exhaustive()
    }
}

impl<T: Plain + Sync> Serialize for ReentrantMutex<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fd = Fd(self.inner.value.mapping().as_fd());
        (Label::of::<T>("ReentrantMutex"), fd).serialize(serializer)
    }
}

impl<'de, T: Plain + Sync> Deserialize<'de> for ReentrantMutex<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (label, Fd(fd)) = <(Label<'_>, Fd<OwnedFd>)>::deserialize(deserializer)?;
        label.check::<T, _>("ReentrantMutex")?;
        Self::open(fd).map_err(wire::unopened)
    }
}
