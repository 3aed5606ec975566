//! A bell, which cannot be made here.

use super::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    unsupported,
};
use std::{convert::Infallible, io, time::Instant};

#[derive(Debug)]
pub(crate) struct Bell(Infallible);

impl Bell {
    pub(crate) fn create() -> io::Result<Self> {
        unsupported()
    }

    pub(crate) fn open(_: OwnedFd) -> io::Result<Self> {
        unsupported()
    }

    pub(crate) fn ring(&self) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn clear(&self) -> io::Result<bool> {
        match self.0 {}
    }

    pub(crate) fn wait(&self, _: Option<Instant>) -> io::Result<bool> {
        match self.0 {}
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self.0 {}
    }
}
