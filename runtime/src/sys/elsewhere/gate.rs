//! A gate, which cannot be made here.

use super::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    unsupported,
};
use std::{convert::Infallible, io};

#[derive(Debug)]
pub(crate) struct Gate(Infallible);

#[derive(Debug)]
pub(crate) struct GateWatch(Infallible);

impl Gate {
    pub(crate) fn create() -> io::Result<Self> {
        unsupported()
    }

    pub(crate) fn open(_: OwnedFd) -> io::Result<Self> {
        unsupported()
    }

    pub(crate) fn open_for_all(&self) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn listen(&self) -> io::Result<GateWatch> {
        match self.0 {}
    }
}

impl GateWatch {
    pub(crate) fn clear(&self) -> io::Result<()> {
        match self.0 {}
    }
}

impl AsFd for Gate {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self.0 {}
    }
}

impl AsFd for GateWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self.0 {}
    }
}
