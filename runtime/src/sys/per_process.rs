//! Values that belong to one process, and not to a copy of it.

use std::{
    ops::{Deref, DerefMut},
    process,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A value of this process, behind a lock. A copy that a bare `fork` has made of the process starts
/// afresh: before it first sees the value, the value is renewed.
#[derive(Debug, Default)]
pub(crate) struct PerProcess<T>(Mutex<Owned<T>>);

/// The value, and the process that it belongs to.
#[derive(Debug, Default)]
pub(crate) struct Owned<T> {
    /// The id of the process. Zero if no process has used the value.
    process: u32,
    value: T,
}

impl<T> PerProcess<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(Mutex::new(Owned { process: 0, value }))
    }

    /// Locks the value. In a copy of the process that has used it, calls `renew` first.
    pub(crate) fn lock(&self, renew: impl FnOnce(&mut T)) -> MutexGuard<'_, Owned<T>> {
        self.lock_as(process::id(), renew)
    }

    fn lock_as(&self, this: u32, renew: impl FnOnce(&mut T)) -> MutexGuard<'_, Owned<T>> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.process != this {
            if held.process != 0 {
                renew(&mut held.value);
            }
            held.process = this;
        }
        held
    }
}

impl<T> Deref for Owned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Owned<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

#[cfg(test)]
mod tests {
    use super::PerProcess;

    #[test]
    fn copy_of_a_process_has_a_value_of_its_own() {
        let value = PerProcess::new(vec![1]);
        value.lock_as(7, |_| panic!("nobody has used it")).push(2);
        assert_eq!(**value.lock_as(7, |_| panic!("it is the same")), [1, 2]);
        assert_eq!(**value.lock_as(8, |value| value.truncate(1)), [1]);
        assert_eq!(**value.lock_as(8, |_| panic!("it is the same")), [1]);
    }
}
