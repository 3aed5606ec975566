//! A value in shared memory that is lent out under a lock between processes.
//!
//! The lock is not this file's business. What is: that within this process Rust's rules hold whatever
//! the lock does. A thread that ends without dropping what it was lent (it can leak it) gives back a
//! lock that dies with it, but what it was lent may still be around.
//!
//! A forked copy of the process begins with nothing lent: it can take the lock once its parent has
//! given it back. The copies of what the parent was lent are of no use there: using one panics.

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

/// The value of a lock, which lies `offset` bytes into the memory.
pub(crate) struct Value<T> {
    mapping: Arc<Mapping>,
    place: NonNull<T>,
    lent: Lent,
}

// SAFETY: it is a value of `T` in memory that stays, and what is lent of it comes under the rules of `RwLock<T>`.
unsafe impl<T: Plain> Send for Value<T> {}
// SAFETY: as above; that readers may be several asks for `Sync` where they are made.
unsafe impl<T: Plain> Sync for Value<T> {}

/// What is lent within this process: in the upper half of the word the number of the process, in the
/// lower how many read. Of a process with another number nothing is lent here.
struct Lent(AtomicU64);

/// In the place of the readers' number: one writes.
const WRITING: u32 = u32::MAX;

/// A loan, which ends when this is dropped.
struct Loan<'a> {
    lent: &'a Lent,
    process: u32,
}

/// The value, to be read.
pub(crate) struct Reading<'a, T> {
    value: &'a Value<T>,
    loan: Loan<'a>,
}

/// The value, to be read and written.
pub(crate) struct Writing<'a, T> {
    value: &'a Value<T>,
    loan: Loan<'a>,
}

/// What was lent before has not come back.
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
    /// Makes a loan if `more` allows it: it makes the new number of readers from the old one.
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
    /// Makes sure that the loan was made to this process, and not to one that it is a copy of.
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
        // The closure never refuses.
        let _ = self
            .lent
            .0
            .fetch_update(Ordering::Release, Ordering::Relaxed, give_back);
    }
}

impl<T: Plain> Value<T> {
    /// Uses the value that lies there.
    pub(crate) fn open(mapping: &Arc<Mapping>, offset: usize) -> Self {
        Self {
            mapping: Arc::clone(mapping),
            place: mapping.place(offset, 1),
            lent: Lent(AtomicU64::new(0)),
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
        let more = |readers: u32| readers.checked_add(1).filter(|more| *more != WRITING);
        let loan = self.lent.lend(more)?;
        Ok(Reading { value: self, loan })
    }

    /// Lends it to the one who holds the lock alone.
    pub(crate) fn write(&self) -> Result<Writing<'_, T>, Leaked> {
        let loan = self
            .lent
            .lend(|readers| (readers == 0).then_some(WRITING))?;
        Ok(Writing { value: self, loan })
    }

    /// The memory it lies in.
    pub(crate) fn mapping(&self) -> &Mapping {
        &self.mapping
    }
}

impl<T> Deref for Reading<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.loan.check();
        // SAFETY: a value lies there, since every pattern of bits is one, and this process writes to it only under `Writing`, which
        // there is none of now. Other processes that have the lock keep to it as this one does.
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
        // SAFETY: as for `Reading`, and nothing else in this process refers to it.
        unsafe { place.as_mut() }
    }
}

impl<T> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value").finish_non_exhaustive()
    }
}
