//! Runs a call, whatever comes of it.

use super::{Answer, Entry};
use crate::{error::Error, wire::Incoming};
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// What came of a call.
pub(crate) enum Outcome {
    /// The value was given to the answer.
    Answered,
    /// The arguments could not be decoded, or the value could not be encoded.
    Failed(Error),
    /// The user's code panicked. Dropping the payload runs the user's code, which could panic
    /// again.
    Panicked(Box<dyn Any + Send>),
}

/// Runs a call.
pub(crate) fn perform(entry: Entry, arguments: &mut Incoming, answer: &dyn Answer) -> Outcome {
    match catch_unwind(AssertUnwindSafe(|| entry(arguments, answer))) {
        Ok(Ok(())) => Outcome::Answered,
        Ok(Err(error)) => Outcome::Failed(error),
        Err(payload) => Outcome::Panicked(payload),
    }
}

/// Runs a function of the user's. The callers of this function are left out of backtraces: of ours,
/// and of std's, which knows this name.
#[inline(never)]
pub(crate) fn __rust_begin_short_backtrace<T>(function: impl FnOnce() -> T) -> T {
    let result = function();
    // Keeps this call from being a tail call, which would leave no frame.
    std::hint::black_box(());
    result
}
