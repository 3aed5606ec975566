//! Permits that cannot become more.

use super::{
    monitor::Parts,
    semaphore::{Semaphore, SemaphoreGuard},
};
use crate::{
    error::Result,
    wire::{self, Label},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{error::Error, fmt, time::Duration};

/// A [`Semaphore`] that never has more permits than in the beginning: giving back one too many is
/// an error.
///
/// # Examples
///
/// ```
/// use procession::sync::BoundedSemaphore;
///
/// let semaphore = BoundedSemaphore::new(2)?;
/// semaphore.acquire()?.forget();
/// semaphore.add_permits(1)?;
/// assert!(semaphore.add_permits(1).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct BoundedSemaphore {
    semaphore: Semaphore,
}

impl BoundedSemaphore {
    /// Makes one with this many permits.
    ///
    /// # Errors
    ///
    /// When the system has no memory or no descriptor to give.
    pub fn new(permits: usize) -> Result<Self> {
        Ok(Self {
            semaphore: Semaphore::bounded(permits)?,
        })
    }

    /// Takes a permit: see [`Semaphore::acquire`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn acquire(&self) -> Result<SemaphoreGuard<'_>> {
        self.semaphore.acquire()
    }

    /// Takes a permit if there is one: see [`Semaphore::try_acquire`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_acquire(&self) -> Result<Option<SemaphoreGuard<'_>>> {
        self.semaphore.try_acquire()
    }

    /// Takes a permit, and waits for it no longer than that: see [`Semaphore::acquire_timeout`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<Option<SemaphoreGuard<'_>>> {
        self.semaphore.acquire_timeout(timeout)
    }

    /// Gives back permits that were [forgotten](SemaphoreGuard::forget).
    ///
    /// Does not wait for longer than a tenth of a second, whoever is
    /// [stopped](Semaphore#stopped-processes).
    ///
    /// # Errors
    ///
    /// When there would be more than in the beginning, those included that somebody has. None is
    /// added then.
    ///
    /// While a process is stopped in the instant in which it takes a permit or gives one back, this
    /// cannot be found out. Then there is no error, unless these are more than there were in the
    /// beginning, and as many are added later as there can be.
    #[doc(alias = "release")]
    pub fn add_permits(&self, permits: usize) -> Result<(), BoundExceeded> {
        if self.semaphore.add(permits) {
            return Ok(());
        }
        Err(BoundExceeded(()))
    }

    #[cfg(test)]
    pub(super) fn inner(&self) -> &Semaphore {
        &self.semaphore
    }

    /// Returns how many permits there are to be had: see [`Semaphore::available_permits`].
    #[must_use]
    #[doc(alias = "get_value")]
    pub fn available_permits(&self) -> usize {
        self.semaphore.available_permits()
    }
}

/// More permits were given back than were taken: the error of [`BoundedSemaphore::add_permits`].
///
/// # Examples
///
/// ```
/// use procession::sync::BoundedSemaphore;
///
/// let error = BoundedSemaphore::new(1)?.add_permits(1).unwrap_err();
/// assert_eq!(error.to_string(), "a semaphore cannot have more permits than in the beginning");
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoundExceeded(());

impl fmt::Display for BoundExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a semaphore cannot have more permits than in the beginning")
    }
}

impl Error for BoundExceeded {}

impl Serialize for BoundedSemaphore {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let label = Label::of::<()>("BoundedSemaphore");
        self.semaphore.send(label, (), serializer)
    }
}

impl<'de> Deserialize<'de> for BoundedSemaphore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        type Whole<'a> = (Label<'a>, Parts, ());
        let (label, parts, ()) = Whole::deserialize(deserializer)?;
        label.check::<(), _>("BoundedSemaphore")?;
        let semaphore = Semaphore::open(parts).map_err(wire::unopened)?;
        Ok(Self { semaphore })
    }
}
