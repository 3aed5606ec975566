//! Many descriptors of which the ready ones are found, which is not possible here.

use super::{
    fd::{AsFd, BorrowedFd},
    unsupported,
};
use std::{convert::Infallible, io};

#[derive(Debug)]
pub(crate) struct Watch(Infallible);

impl Watch {
    pub(crate) fn new() -> io::Result<Self> {
        unsupported()
    }

    #[cfg(feature = "net")]
    pub(crate) fn add(&self, _: BorrowedFd<'_>) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn add_once(&self, _: BorrowedFd<'_>, _: u64) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn remove(&self, _: BorrowedFd<'_>) {
        match self.0 {}
    }

    pub(crate) fn wait(&self) -> io::Result<Vec<u64>> {
        match self.0 {}
    }

    pub(crate) fn ready(&self) -> io::Result<Vec<u64>> {
        match self.0 {}
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self.0 {}
    }
}
