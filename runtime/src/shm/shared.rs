//! One value in shared memory.

use super::{
    Atomic, Immutable, Plain,
    published::{self, Published},
};
use crate::{
    error::{Error, Result},
    sys::{
        fd::{AsFd, OwnedFd},
        mapping::{Mapping, PAGE},
    },
    wire::{self, Fd, Label},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, marker::PhantomData, ops::Deref, sync::Arc};

/// A value in memory that processes share.
///
/// The [module](super) describes what can be done with it, and what happens when other processes
/// write at the same time.
///
/// # Examples
///
/// ```
/// use procession::{process, shm::Shared};
/// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
///
/// #[process]
/// fn count(hits: &Shared<AtomicU64>) {
///     for _ in 0..100 {
///         hits.fetch_add(1, Relaxed);
///     }
/// }
///
/// let hits = Shared::new(AtomicU64::new(0))?;
/// let counters = [count::spawn(&hits)?, count::spawn(&hits)?];
/// for counter in counters {
///     counter.join()?;
/// }
/// assert_eq!(hits.load(Relaxed), 200);
/// # Ok::<(), procession::Error>(())
/// ```
#[doc(alias = "Value")]
#[doc(alias = "SharedMemory")]
pub struct Shared<T> {
    mapping: Arc<Mapping>,
    value: PhantomData<fn() -> T>,
}

impl<T: Plain> Shared<T> {
    /// Makes new shared memory that holds `value`.
    ///
    /// # Errors
    ///
    /// Fails with [`ErrorKind::TooManyFiles`](crate::ErrorKind::TooManyFiles) or
    /// [`ErrorKind::OutOfMemory`](crate::ErrorKind::OutOfMemory) if the system has no descriptor or
    /// no memory left.
    pub fn new(value: T) -> Result<Self> {
        const { assert!(align_of::<T>() <= PAGE, "the value is aligned too far") };
        let mapping = Mapping::create(size_of::<T>())
            .map_err(|error| Error::os("memory cannot be shared", error))?;
        mapping.store_one(0, value);
        Ok(Self::from_mapping(mapping))
    }

    fn from_mapping(mapping: Mapping) -> Self {
        Self {
            mapping: Arc::new(mapping),
            value: PhantomData,
        }
    }

    /// Returns the address of the value. It is valid until this handle and all its clones in this
    /// process are dropped. Other processes may write there at any time.
    #[must_use]
    pub fn as_ptr(&self) -> *mut T {
        self.mapping.place(0, 1).as_ptr()
    }

    /// Publishes the memory under a name. Other processes of this user can [open](Self::open) it by
    /// this name until the returned value is dropped.
    ///
    /// A name has 1 to 50 bytes, and contains no slash, white space or control character.
    ///
    /// # Errors
    ///
    /// Fails with `EEXIST` if the name is taken, and with `EINVAL` if it is not a valid name.
    pub fn publish(&self, name: &str) -> Result<Published> {
        Published::new(name, &self.mapping)
    }

    /// Opens the memory that has this name.
    ///
    /// The type that the memory was made with is not checked: every pattern of bits is a valid `T`.
    ///
    /// # Errors
    ///
    /// Fails with `ENOENT` if no memory has this name, with `EINVAL` if it is not a valid name, and
    /// with `EACCES` if the memory may not be opened (see [`Published`]). Also fails if the memory
    /// is too short for a `T`, or if `/proc`, where names are looked up, is not mounted.
    pub fn open(name: &str) -> Result<Self> {
        let mapping = published::open(name, |fd| Mapping::open(fd, size_of::<T>()))?;
        Ok(Self::from_mapping(mapping))
    }
}

impl<T: Plain + Immutable> Shared<T> {
    /// Returns a copy of the value.
    ///
    /// If another process writes meanwhile, the copy may have some old and some new bytes.
    #[must_use]
    pub fn get(&self) -> T {
        self.mapping.load_one(0)
    }

    /// Writes the value. A process that copies it meanwhile may get some old and some new bytes.
    pub fn set(&self, value: T) {
        self.mapping.store_one(0, value);
    }
}

impl<T: Atomic> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.mapping.get(0)
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self {
            mapping: Arc::clone(&self.mapping),
            value: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl<T: Plain> Serialize for Shared<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (Label::of::<T>("Shared"), Fd(self.mapping.as_fd())).serialize(serializer)
    }
}

impl<'de, T: Plain> Deserialize<'de> for Shared<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (label, Fd(fd)) = <(Label<'_>, Fd<OwnedFd>)>::deserialize(deserializer)?;
        label.check::<T, _>("Shared")?;
        let mapping = Mapping::open(fd, size_of::<T>()).map_err(wire::unopened)?;
        Ok(Self::from_mapping(mapping))
    }
}
