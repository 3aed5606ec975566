//! Waiting for descriptors, which is not possible here.

use super::{fd::BorrowedFd, unsupported};
use std::{
    io,
    time::{Duration, Instant},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    Reading,
    Writing,
    End,
}

pub(crate) fn until_ready(
    _: &[(BorrowedFd<'_>, For)],
    _: Option<Instant>,
) -> io::Result<Vec<bool>> {
    unsupported()
}

pub(crate) fn readable(_: BorrowedFd<'_>, _: Option<Instant>) -> io::Result<bool> {
    unsupported()
}

pub(crate) fn spin(_: BorrowedFd<'_>, _: Duration) -> bool {
    false
}

#[derive(Debug, Default)]
pub(crate) struct Patience(());

impl Patience {
    pub(crate) fn spin(&self, _: BorrowedFd<'_>) -> bool {
        false
    }

    pub(crate) fn wait(&self, condition: impl Fn() -> bool) -> bool {
        condition()
    }
}

/// Returns the moment after `duration`, or `None` if the clock does not reach that far: for ever.
pub(crate) fn deadline(duration: Duration) -> Option<Instant> {
    Instant::now().checked_add(duration)
}
