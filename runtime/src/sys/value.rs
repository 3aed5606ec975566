//! A value in shared memory that is lent out under a lock between processes.
//!
//! The lock is not this file's business. What is: that within this process Rust's rules hold whatever the lock does. A thread that
//! ends without dropping what it was lent (it can leak it) gives back a lock that dies with it, but what it was lent may still be
//! around.

use super::{mapping::Mapping, plain::Plain};
use std::{
    fmt,
    ops::{Deref, DerefMut},
    ptr::NonNull,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError},
};

/// The value of a lock, which lies `offset` bytes into the memory.
pub(crate) struct Value<T> {
    mapping: Arc<Mapping>,
    place: NonNull<T>,
    /// What is lent out within this process.
    lent: RwLock<()>,
}

// SAFETY: it is a value of `T` in memory that stays, and what is lent of it comes under the rules of `RwLock<T>`.
unsafe impl<T: Plain> Send for Value<T> {}
// SAFETY: as above; that readers may be several asks for `Sync` where they are made.
unsafe impl<T: Plain> Sync for Value<T> {}

/// The value, to be read.
pub(crate) struct Reading<'a, T> {
    value: &'a Value<T>,
    _lent: RwLockReadGuard<'a, ()>,
}

/// The value, to be read and written.
pub(crate) struct Writing<'a, T> {
    value: &'a Value<T>,
    _lent: RwLockWriteGuard<'a, ()>,
}

/// What was lent before has not come back.
#[derive(Debug)]
pub(crate) struct Leaked;

impl<T: Plain> Value<T> {
    /// Uses the value that lies there.
    pub(crate) fn open(mapping: &Arc<Mapping>, offset: usize) -> Self {
        Self {
            mapping: Arc::clone(mapping),
            place: mapping.place(offset, 1),
            lent: RwLock::new(()),
        }
    }

    /// Puts a value there, in memory that nobody else has yet.
    pub(crate) fn create(mapping: &Arc<Mapping>, offset: usize, value: T) -> Self {
        let this = Self::open(mapping, offset);
        // SAFETY: the place is aligned, in the mapping, and nothing refers to it yet.
        unsafe { this.place.write(value) };
        this
    }

    /// Lends it to one who holds the lock together with others.
    pub(crate) fn read(&self) -> Result<Reading<'_, T>, Leaked>
    where
        T: Sync,
    {
        let lent = match self.lent.try_read() {
            Ok(lent) => lent,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(Leaked),
        };
        Ok(Reading {
            value: self,
            _lent: lent,
        })
    }

    /// Lends it to the one who holds the lock alone.
    pub(crate) fn write(&self) -> Result<Writing<'_, T>, Leaked> {
        let lent = match self.lent.try_write() {
            Ok(lent) => lent,
            // Whether a panic spoils the value is for the lock to say.
            Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
            Err(TryLockError::WouldBlock) => return Err(Leaked),
        };
        Ok(Writing {
            value: self,
            _lent: lent,
        })
    }

    /// The memory it lies in.
    pub(crate) fn mapping(&self) -> &Mapping {
        &self.mapping
    }
}

impl<T> Deref for Reading<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: a value lies there, since every pattern of bits is one, and this process writes to it only under `Writing`, which
        // there is none of now. Other processes that have the lock keep to it as this one does.
        unsafe { self.value.place.as_ref() }
    }
}

impl<T> Deref for Writing<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: as for `Reading`.
        unsafe { self.value.place.as_ref() }
    }
}

impl<T> DerefMut for Writing<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        let mut place = self.value.place;
        // SAFETY: as for `Reading`, and nothing else in this process refers to it.
        unsafe { place.as_mut() }
    }
}

impl<T> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value").finish_non_exhaustive()
    }
}
