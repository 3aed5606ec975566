//! A value in shared memory that is lent out under a lock between processes.
//!
//! This file does not implement the lock. It makes sure that Rust's rules for references hold
//! within this process, whatever the lock does. A thread can leak a guard and then end. The kernel
//! then frees the lock, which dies with the thread, but the reference that the guard lent may still
//! be in use.
//!
//! A forked copy of the process begins with no loans: it can take the lock once its parent has
//! released it. The copies of the parent's guards are of no use there: using one panics.

use super::{mapping::Mapping, own, plain::Plain};
use std::{
    fmt,
    ops::{Deref, DerefMut},
    ptr::NonNull,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// The value that a lock guards, in shared memory.
pub(crate) struct Guarded<T> {
    mapping: Arc<Mapping>,
    place: NonNull<T>,
    lent: Lent,
}

// SAFETY: it is a value of `T` in memory that stays mapped, and its loans follow the rules of
// `RwLock<T>`.
unsafe impl<T: Plain> Send for Guarded<T> {}
// SAFETY: as above. Several readers at a time need `T: Sync`, which `read` requires.
unsafe impl<T: Plain> Sync for Guarded<T> {}

/// The loans within this process. The upper half of the word is the number of the process, the
/// lower half is the number of readers. If the upper half is the number of another process, this
/// one has lent nothing.
struct Lent(AtomicU64);

/// Stands in the place of the number of readers: there is one writer.
const WRITING: u32 = u32::MAX;

/// A loan, which ends when this is dropped.
struct Loan<'a> {
    lent: &'a Lent,
    process: u32,
}

/// The value, lent for reading.
pub(crate) struct Reading<'a, T> {
    value: &'a Guarded<T>,
    loan: Loan<'a>,
}

/// The value, lent for reading and writing.
pub(crate) struct Writing<'a, T> {
    value: &'a Guarded<T>,
    loan: Loan<'a>,
}

/// An earlier loan has not been given back.
#[derive(Debug)]
pub(crate) struct Leaked;

#[allow(
    clippy::cast_possible_truncation,
    reason = "no process has four billion ancestors"
)]
fn this_process() -> u32 {
    own::number() as u32
}

#[allow(clippy::cast_possible_truncation, reason = "the halves are taken")]
fn halves(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

fn word(process: u32, readers: u32) -> u64 {
    u64::from(process) << 32 | u64::from(readers)
}

impl Lent {
    /// Makes a loan if `more` allows it. `more` gets the number of readers, and returns the new
    /// number or `None`.
    fn lend(&self, more: impl Fn(u32) -> Option<u32>) -> Result<Loan<'_>, Leaked> {
        let process = this_process();
        let update = |before| {
            let (of, readers) = halves(before);
            let readers = if of == process { readers } else { 0 };
            Some(word(process, more(readers)?))
        };
        self.0
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, update)
            .map_err(|_| Leaked)?;
        Ok(Loan {
            lent: self,
            process,
        })
    }
}

impl Loan<'_> {
    /// Panics unless this is the process that the loan was made to. A forked copy of that process
    /// is another process.
    #[track_caller]
    fn check(&self) {
        assert!(
            self.process == this_process(),
            "a guard was used in a forked copy of the process that holds the lock"
        );
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        if self.process != this_process() {
            return;
        }
        let give_back = |before| {
            let (of, readers) = halves(before);
            let left = match readers {
                WRITING => 0,
                readers => readers.saturating_sub(1),
            };
            Some(word(of, left))
        };
        // The closure never refuses, so this cannot fail.
        let _ = self
            .lent
            .0
            .fetch_update(Ordering::Release, Ordering::Relaxed, give_back);
    }
}

impl<T: Plain> Guarded<T> {
    /// Uses the value that lies `offset` bytes into the memory.
    pub(crate) fn open(mapping: &Arc<Mapping>, offset: usize) -> Self {
        Self {
            mapping: Arc::clone(mapping),
            place: mapping.place(offset, 1),
            lent: Lent(AtomicU64::new(0)),
        }
    }

    /// Writes a value `offset` bytes into the memory, which no other process has yet.
    pub(crate) fn create(mapping: &Arc<Mapping>, offset: usize, value: T) -> Self {
        let this = Self::open(mapping, offset);
        // SAFETY: the place is aligned and in the mapping, and nothing refers to it yet.
        unsafe { this.place.write(value) };
        this
    }

    /// Lends the value to a holder that shares the lock with others.
    pub(crate) fn read(&self) -> Result<Reading<'_, T>, Leaked>
    where
        T: Sync,
    {
        let more = |readers: u32| readers.checked_add(1).filter(|more| *more != WRITING);
        let loan = self.lent.lend(more)?;
        Ok(Reading { value: self, loan })
    }

    /// Lends the value to a holder that has the lock alone.
    pub(crate) fn write(&self) -> Result<Writing<'_, T>, Leaked> {
        let loan = self
            .lent
            .lend(|readers| (readers == 0).then_some(WRITING))?;
        Ok(Writing { value: self, loan })
    }

    /// Returns the memory that the value lies in.
    pub(crate) fn mapping(&self) -> &Mapping {
        &self.mapping
    }
}

impl<T> Deref for Reading<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.loan.check();
        // SAFETY: a valid value lies there, since every bit pattern is one. This process writes to
        // it only under a `Writing`, and there is none now. Other processes that have the lock
        // follow the same rules.
        unsafe { self.value.place.as_ref() }
    }
}

impl<T> Deref for Writing<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.loan.check();
        // SAFETY: as for `Reading`.
        unsafe { self.value.place.as_ref() }
    }
}

impl<T> DerefMut for Writing<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.loan.check();
        let mut place = self.value.place;
        // SAFETY: as for `Reading`, and nothing else in this process refers to the value.
        unsafe { place.as_mut() }
    }
}

impl<T> fmt::Debug for Guarded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").finish_non_exhaustive()
    }
}
