//! One descriptor for two others, which cannot be made here.

use super::{
    fd::{AsFd, BorrowedFd},
    unsupported,
};
use std::{convert::Infallible, io};

#[derive(Debug)]
pub(crate) struct Readiness(Infallible);

impl Readiness {
    pub(crate) fn new(_: BorrowedFd<'_>, _: BorrowedFd<'_>) -> io::Result<Self> {
        unsupported()
    }
}

impl AsFd for Readiness {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self.0 {}
    }
}
