//! The descendants of a process, which cannot be seen here.

use super::{fd::BorrowedFd, unsupported};
use std::{io, iter};

pub(crate) fn keep_orphans() -> io::Result<()> {
    unsupported()
}

pub(crate) fn is_stopped(_: u32) -> bool {
    false
}

pub(crate) fn check_proc() -> io::Result<()> {
    unsupported()
}

#[derive(Debug, Default)]
pub(crate) struct Family(());

impl Family {
    pub(crate) fn is_empty(&self) -> bool {
        true
    }

    pub(crate) fn pidfds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        iter::empty()
    }

    pub(crate) fn grow(&mut self, _: u32, _: impl Fn() -> bool) -> io::Result<Vec<u32>> {
        unsupported()
    }

    pub(crate) fn signal(&self, _: u32, _: i32) -> io::Result<()> {
        unsupported()
    }

    pub(crate) fn signal_all(&self, _: i32) -> io::Result<()> {
        unsupported()
    }

    pub(crate) fn resume(&self) {}
}

pub(crate) fn has_living_child(_: u32) -> bool {
    false
}
