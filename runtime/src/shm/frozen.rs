//! Shared values that no process can change.

use super::{Plain, slice::bytes};
use crate::{
    Fd,
    error::Result,
    sys::mapping::Mapping,
    wire::{self, Label},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
    fmt,
    marker::PhantomData,
    ops::Deref,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};
use zerocopy::Immutable;

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

impl<T: Plain + Immutable + Sync> FrozenSlice<T> {
    pub(super) fn from_mapping(mapping: Mapping, length: usize) -> Self {
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
