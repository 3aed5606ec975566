//! Many values of one type in shared memory.

use super::{
    Atomic, Immutable, Plain,
    published::{self, Published},
};
use crate::{
    error::{Error, Result},
    sys::{
        errno,
        fd::{AsFd, OwnedFd},
        mapping::{Mapping, PAGE},
    },
    wire::{self, Fd, Label},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, io, marker::PhantomData, ops::Deref, sync::Arc};

/// A fixed number of values in memory that processes share.
///
/// The [module](super) describes what can be done with them, and what happens when other processes
/// write at the same time.
///
/// # Examples
///
/// ```
/// use procession::{process, shm::SharedSlice};
///
/// #[process]
/// fn square(numbers: &SharedSlice<u64>) {
///     for index in 0..numbers.len() {
///         let number = numbers.get(index).unwrap();
///         numbers.set(index, number * number);
///     }
/// }
///
/// let numbers = SharedSlice::from_slice(&[1, 2, 3])?;
/// square::spawn(&numbers)?.join()?;
/// assert_eq!(numbers.to_vec(), [1, 4, 9]);
/// # Ok::<(), procession::Error>(())
/// ```
#[doc(alias = "Array")]
#[doc(alias = "SharedMemory")]
#[doc(alias = "ShareableList")]
pub struct SharedSlice<T> {
    pub(super) mapping: Arc<Mapping>,
    pub(super) length: usize,
    values: PhantomData<fn() -> T>,
}

/// How many bytes `length` values have. Fails with `ENOMEM` if they are too many to be addressed.
pub(super) fn bytes<T>(length: usize) -> io::Result<usize> {
    const { assert!(align_of::<T>() <= PAGE, "the value is aligned too far") };
    const { assert!(size_of::<T>() > 0, "the value has no bytes") };
    let bytes = length.checked_mul(size_of::<T>());
    let bytes = bytes.filter(|bytes| isize::try_from(*bytes).is_ok());
    bytes.ok_or_else(|| io::Error::from_raw_os_error(errno::ENOMEM))
}

impl<T: Plain> SharedSlice<T> {
    /// Makes `length` values, with all bytes zero.
    ///
    /// The system provides a page of memory when it is first written to.
    ///
    /// # Errors
    ///
    /// Fails with [`ErrorKind::TooManyFiles`](crate::ErrorKind::TooManyFiles) or
    /// [`ErrorKind::OutOfMemory`](crate::ErrorKind::OutOfMemory) if the system has no descriptor or
    /// no memory left.
    pub fn new(length: usize) -> Result<Self> {
        let mapping = bytes::<T>(length).and_then(Mapping::create);
        let mapping = mapping.map_err(|error| Error::os("memory cannot be shared", error))?;
        Ok(Self::from_mapping(mapping, length))
    }

    fn from_mapping(mapping: Mapping, length: usize) -> Self {
        Self {
            mapping: Arc::new(mapping),
            length,
            values: PhantomData,
        }
    }

    /// Returns how many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Returns whether there are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Returns the address of the first value. It is valid until this handle and all its clones in
    /// this process are dropped. Other processes may write there at any time.
    #[must_use]
    pub fn as_ptr(&self) -> *mut T {
        self.mapping.place(0, self.length).as_ptr()
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

    /// Opens the memory that has this name. It has as many values as fit into the memory.
    ///
    /// The type that the memory was made with is not checked: every pattern of bits is a valid `T`.
    ///
    /// # Errors
    ///
    /// Fails with `ENOENT` if no memory has this name, with `EINVAL` if it is not a valid name, and
    /// with `EACCES` if the memory may not be opened (see [`Published`]). Also fails if `/proc`,
    /// where names are looked up, is not mounted.
    pub fn open(name: &str) -> Result<Self> {
        let mapping = published::open(name, |fd| Mapping::open(fd, 0))?;
        let length = mapping.len() / size_of::<T>();
        bytes::<T>(length)?;
        Ok(Self::from_mapping(mapping, length))
    }
}

impl<T: Plain + Immutable> SharedSlice<T> {
    /// Makes shared memory with a copy of `values`.
    ///
    /// # Errors
    ///
    /// The same as [`new`](Self::new).
    pub fn from_slice(values: &[T]) -> Result<Self> {
        let this = Self::new(values.len())?;
        this.mapping.store(0, values);
        Ok(this)
    }

    /// Returns a copy of one value, or `None` if `index` is out of bounds.
    ///
    /// If another process writes meanwhile, the copy may have some old and some new bytes.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<T> {
        (index < self.length).then(|| self.mapping.load_one(index * size_of::<T>()))
    }

    /// Writes one value. A process that copies it meanwhile may get some old and some new bytes.
    ///
    /// # Panics
    ///
    /// Panics if `index` is out of bounds.
    #[allow(clippy::needless_pass_by_value, reason = "it becomes the memory's")]
    pub fn set(&self, index: usize, value: T) {
        self.copy_from_slice(index, std::slice::from_ref(&value));
    }

    /// Copies values from index `start` on into `places`, until it is full.
    ///
    /// # Panics
    ///
    /// Panics if the range is out of bounds.
    pub fn copy_to_slice(&self, start: usize, places: &mut [T]) {
        self.check(start, places.len());
        self.mapping.load(start * size_of::<T>(), places);
    }

    /// Writes `values` from index `start` on.
    ///
    /// # Panics
    ///
    /// Panics if the range is out of bounds.
    pub fn copy_from_slice(&self, start: usize, values: &[T]) {
        self.check(start, values.len());
        self.mapping.store(start * size_of::<T>(), values);
    }

    /// Returns a copy of all values.
    #[must_use]
    pub fn to_vec(&self) -> Vec<T> {
        let mut values = Vec::new();
        self.mapping.append_to(0, self.length, &mut values);
        values
    }

    #[track_caller]
    fn check(&self, start: usize, count: usize) {
        let length = self.length;
        assert!(
            start.checked_add(count).is_some_and(|end| end <= length),
            "{count} values from {start} on are not within {length}"
        );
    }
}

impl<T: Atomic> Deref for SharedSlice<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.mapping.slice(0, self.length)
    }
}

impl<T> Clone for SharedSlice<T> {
    fn clone(&self) -> Self {
        Self {
            mapping: Arc::clone(&self.mapping),
            length: self.length,
            values: PhantomData,
        }
    }
}

impl<T> fmt::Debug for SharedSlice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSlice")
            .field("len", &self.length)
            .finish_non_exhaustive()
    }
}

impl<T: Plain> Serialize for SharedSlice<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let label = Label::of::<T>("SharedSlice");
        (label, self.length, Fd(self.mapping.as_fd())).serialize(serializer)
    }
}

impl<'de, T: Plain> Deserialize<'de> for SharedSlice<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        type Parts<'a> = (Label<'a>, usize, Fd<OwnedFd>);
        let (label, length, Fd(fd)) = Parts::deserialize(deserializer)?;
        label.check::<T, _>("SharedSlice")?;
        let mapping = bytes::<T>(length).and_then(|bytes| Mapping::open(fd, bytes));
        let mapping = mapping.map_err(wire::unopened)?;
        Ok(Self::from_mapping(mapping, length))
    }
}
