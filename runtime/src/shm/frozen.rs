//! Shared values that no process can change.

use super::{Immutable, Plain, SharedSlice, slice::bytes};
use crate::{
    error::{Error, Result},
    sys::{
        errno,
        fd::{AsFd, OwnedFd},
        mapping::Mapping,
    },
    wire::{self, Fd, Label},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, io, marker::PhantomData, ops::Deref, sync::Arc};

/// Values in shared memory that no process can write to.
/// [`SharedSlice::freeze`](super::SharedSlice::freeze) returns it.
///
/// It dereferences to a slice. A clone is another handle to the same memory. A handle that is sent
/// to another process gives it a handle to the same memory: nothing is copied, whatever the size.
/// The kernel refuses all writes (`F_SEAL_WRITE`). Received memory that does not have this seal is
/// refused.
///
/// # Examples
///
/// ```
/// use procession::shm::SharedSlice;
///
/// let words = SharedSlice::from_slice(b"to whom it may concern")?.freeze()?;
/// assert!(words.starts_with(b"to whom"));
/// # Ok::<(), procession::Error>(())
/// ```
pub struct FrozenSlice<T> {
    mapping: Arc<Mapping>,
    length: usize,
    values: PhantomData<fn() -> T>,
}

impl<T: Plain + Immutable> SharedSlice<T> {
    /// Makes the memory read-only for all processes, forever, so that it can be read as a slice
    /// without a copy.
    ///
    /// This is the way to hand over large data: fill the memory, freeze it, and send it.
    ///
    /// # Errors
    ///
    /// Fails with `EBUSY` if another handle could write to the memory, in this process or another
    /// one. This handle is dropped even if it fails.
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::{process, shm::{FrozenSlice, SharedSlice}};
    ///
    /// #[process]
    /// fn sum(samples: &FrozenSlice<f32>) -> f32 {
    ///     samples.iter().sum()
    /// }
    ///
    /// let samples = SharedSlice::from_slice(&[1.0, 2.0, 3.5])?.freeze()?;
    /// assert_eq!(sum::spawn(&samples)?.join()?, 6.5);
    /// assert_eq!(samples[2], 3.5);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn freeze(self) -> Result<FrozenSlice<T>>
    where
        T: Sync,
    {
        let mapping = match Arc::try_unwrap(self.mapping) {
            Ok(mapping) => mapping.freeze(),
            Err(_) => Err(io::Error::from_raw_os_error(errno::EBUSY)),
        };
        let mapping =
            mapping.map_err(|error| Error::os("shared memory cannot be frozen", error))?;
        Ok(FrozenSlice::from_mapping(mapping, self.length))
    }
}

impl<T: Plain + Immutable + Sync> FrozenSlice<T> {
    fn from_mapping(mapping: Mapping, length: usize) -> Self {
        Self {
            mapping: Arc::new(mapping),
            length,
            values: PhantomData,
        }
    }
}

impl<T: Plain + Immutable + Sync> Deref for FrozenSlice<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.mapping.frozen(self.length)
    }
}

impl<T: Plain + Immutable + Sync> AsRef<[T]> for FrozenSlice<T> {
    fn as_ref(&self) -> &[T] {
        self
    }
}

impl<T> Clone for FrozenSlice<T> {
    fn clone(&self) -> Self {
        Self {
            mapping: Arc::clone(&self.mapping),
            length: self.length,
            values: PhantomData,
        }
    }
}

impl<T: Plain + Immutable + Sync + fmt::Debug> fmt::Debug for FrozenSlice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Plain + Immutable + Sync> Serialize for FrozenSlice<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let label = Label::of::<T>("FrozenSlice");
        (label, self.length, Fd(self.mapping.as_fd())).serialize(serializer)
    }
}

impl<'de, T: Plain + Immutable + Sync> Deserialize<'de> for FrozenSlice<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        type Parts<'a> = (Label<'a>, usize, Fd<OwnedFd>);
        let (label, length, Fd(fd)) = Parts::deserialize(deserializer)?;
        label.check::<T, _>("FrozenSlice")?;
        let mapping = bytes::<T>(length).and_then(|bytes| Mapping::open_frozen(fd, bytes));
        let mapping = mapping.map_err(wire::unopened)?;
        Ok(Self::from_mapping(mapping, length))
    }
}
