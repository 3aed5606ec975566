//! A lock that the thread that has it may take again.

use super::{
    mutex::{leaked, refuse},
    timeout::LockTimeoutError,
};
use crate::{
    error::{Error, Result},
    shm::Plain,
    sys::{
        mapping::{Mapping, PAGE},
        robust::{self, Refused, Robust},
        value::{Reading, Value},
        wait,
    },
    wire::{self, Fd, Label},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
    fmt, io,
    marker::PhantomData,
    ops::Deref,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, LockResult, PoisonError, TryLockError, TryLockResult,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// A lock between processes that the thread that holds it may take again, as often as it likes.
///
/// The others get it when all of the guards are dropped. Since there may be several, they give `&T` only: what is to be changed under
/// the lock is an atomic, or lies elsewhere. All that is said of a [`Mutex`](super::Mutex) about poisoning, trust, system calls and
/// handles holds here too.
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
    value: Value<T>,
}

const POISON: usize = robust::SIZE;
/// How many guards there are; only who holds the lock looks at it.
const DEPTH: usize = robust::SIZE + 4;
const VALUE: usize = 2 * robust::SIZE;

impl<T: Plain + Sync> ReentrantMutex<T> {
    /// Makes a lock, free, with this value in it.
    ///
    /// # Errors
    ///
    /// When the system has no memory or no descriptor to give.
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

    /// Takes the lock, or takes it again, and waits for it for as long as that takes.
    ///
    /// # Errors
    ///
    /// When the lock is poisoned: the guard is in the error.
    ///
    /// # Panics
    ///
    /// When this thread has taken it 4294967295 times.
    #[doc(alias = "acquire")]
    pub fn lock(&self) -> LockResult<ReentrantMutexGuard<'_, T>> {
        match self.lock_until(None) {
            Ok(guard) => Ok(guard),
            Err(LockTimeoutError::Poisoned(error)) => Err(error),
            Err(LockTimeoutError::TimedOut) => unreachable!("without a deadline the lock is taken"),
        }
    }

    /// Takes the lock if no other thread has it.
    ///
    /// # Errors
    ///
    /// When another has it, or it is poisoned.
    ///
    /// # Panics
    ///
    /// As for [`lock`](Self::lock).
    pub fn try_lock(&self) -> TryLockResult<ReentrantMutexGuard<'_, T>> {
        match self.enter(self.inner.robust.try_lock()) {
            Ok(guard) => Ok(guard),
            Err(LockTimeoutError::Poisoned(error)) => Err(error.into()),
            Err(LockTimeoutError::TimedOut) => Err(TryLockError::WouldBlock),
        }
    }

    /// Takes the lock, or takes it again, and waits for it no longer than that.
    ///
    /// # Errors
    ///
    /// When another held it for all of the time, or it is poisoned.
    ///
    /// # Panics
    ///
    /// As for [`lock`](Self::lock).
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
                    // In this order: whoever is killed in between leaves a death to the next one.
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
            // It is never lent to be written.
            leaked();
        };
        let guard = ReentrantMutexGuard {
            mutex: self,
            panicking: thread::panicking(),
            value,
            not_send: PhantomData,
        };
        // Which guard is the last one to go is not known yet: it unlocks.
        std::mem::forget(robust);
        if poison.load(Ordering::Relaxed) != 0 {
            return Err(PoisonError::new(guard).into());
        }
        Ok(guard)
    }

    /// Returns whether the lock is poisoned. That a holder has died shows when the lock is taken next, and not before.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.word(POISON).load(Ordering::Relaxed) != 0
    }

    /// Says that what the lock guards is whole again, so that the lock is poisoned no more.
    pub fn clear_poison(&self) {
        self.word(POISON).store(0, Ordering::Relaxed);
    }
}

impl<T: Plain> ReentrantMutex<T> {
    fn word(&self, offset: usize) -> &AtomicU32 {
        self.inner.value.mapping().get(offset)
    }
}

/// The lock, held: what [`ReentrantMutex::lock`] returns. Dropping the last of a thread gives the lock back.
///
/// It stays with the thread that has locked.
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
        // A copy of the process that holds it, made by a fork, does not hold it.
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
