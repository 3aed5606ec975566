//! The results of waits with a time limit.

use std::{error::Error, fmt, sync::PoisonError};

/// Why a lock was not taken in time, or that it is poisoned. Methods such as
/// [`Mutex::lock_timeout`](super::Mutex::lock_timeout) return it.
///
/// # Examples
///
/// ```
/// use procession::sync::{LockTimeoutError, Mutex};
/// use std::{thread, time::Duration};
///
/// let mutex = Mutex::new(0_u8)?;
/// let guard = mutex.lock().unwrap();
/// thread::scope(|scope| {
///     scope.spawn(|| {
///         let error = mutex.lock_timeout(Duration::from_millis(10)).unwrap_err();
///         assert!(matches!(error, LockTimeoutError::TimedOut));
///     });
/// });
/// # Ok::<(), procession::Error>(())
/// ```
pub enum LockTimeoutError<G> {
    /// The lock was taken and is poisoned. The guard is inside.
    Poisoned(PoisonError<G>),
    /// Another thread held the lock all the time.
    TimedOut,
}

impl<G> fmt::Debug for LockTimeoutError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Poisoned(_) => "Poisoned(..)",
            Self::TimedOut => "TimedOut",
        })
    }
}

impl<G> fmt::Display for LockTimeoutError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Poisoned(error) => error.fmt(f),
            Self::TimedOut => f.write_str("the lock was held by somebody else for all of the time"),
        }
    }
}

impl<G> Error for LockTimeoutError<G> {}

impl<G> From<PoisonError<G>> for LockTimeoutError<G> {
    fn from(error: PoisonError<G>) -> Self {
        Self::Poisoned(error)
    }
}

/// Whether a wait on a [`Condvar`](super::Condvar) ended because its time was up.
///
/// # Examples
///
/// ```
/// use procession::sync::{Condvar, Mutex};
/// use std::time::Duration;
///
/// let (mutex, condvar) = (Mutex::new(0_u8)?, Condvar::new()?);
/// let guard = mutex.lock().unwrap();
/// let wait = condvar.wait_timeout_while(guard, Duration::from_millis(10), |ready| *ready == 0);
/// let (_guard, result) = wait.unwrap();
/// assert!(result.timed_out());
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(pub(super) bool);

impl WaitTimeoutResult {
    /// Returns whether the time was up.
    #[must_use]
    pub fn timed_out(self) -> bool {
        self.0
    }
}
