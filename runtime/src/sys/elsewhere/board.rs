//! Numbers that two processes share, which cannot be made here.

use super::{
    fd::{BorrowedFd, OwnedFd},
    unsupported,
};
use std::{convert::Infallible, io};

#[derive(Debug)]
pub(crate) struct Number(Infallible);

impl Number {
    pub(crate) fn outcome(&self) -> Option<io::Result<u32>> {
        match self.0 {}
    }

    pub(crate) fn leave_error(&self, _: &io::Error) {
        match self.0 {}
    }

    pub(crate) fn clear(&self) {
        match self.0 {}
    }
}

#[derive(Debug)]
pub(crate) struct Board(Infallible);

impl Board {
    pub(crate) const LENGTH: usize = 1024;

    pub(crate) fn create() -> io::Result<(Self, OwnedFd)> {
        unsupported()
    }

    pub(crate) fn open(_: BorrowedFd<'_>) -> io::Result<Self> {
        unsupported()
    }

    pub(crate) fn get(&self, _: usize) -> Option<&Number> {
        match self.0 {}
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        match self.0 {}
    }
}
