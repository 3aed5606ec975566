//! Memory that processes share, which cannot be made here.

use super::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    plain::{Atomic, Immutable, Plain},
    unsupported,
};
use std::{convert::Infallible, io, ptr::NonNull};

#[derive(Debug)]
pub(crate) struct Mapping(Infallible);

pub(crate) const PAGE: usize = 4096;

impl Mapping {
    pub(crate) fn create(_: usize) -> io::Result<Self> {
        unsupported()
    }

    pub(crate) fn open(_: OwnedFd, _: usize) -> io::Result<Self> {
        unsupported()
    }

    pub(crate) fn open_frozen(_: OwnedFd, _: usize) -> io::Result<Self> {
        unsupported()
    }

    pub(crate) fn freeze(self) -> io::Result<Self> {
        match self.0 {}
    }

    pub(crate) fn len(&self) -> usize {
        match self.0 {}
    }

    pub(crate) fn place<T>(&self, _: usize, _: usize) -> NonNull<T> {
        match self.0 {}
    }

    pub(crate) fn get<T: Atomic>(&self, _: usize) -> &T {
        match self.0 {}
    }

    pub(crate) fn slice<T: Atomic>(&self, _: usize, _: usize) -> &[T] {
        match self.0 {}
    }

    pub(crate) fn frozen<T: Plain + Immutable + Sync>(&self, _: usize) -> &[T] {
        match self.0 {}
    }

    pub(crate) fn load<T: Plain>(&self, _: usize, _: &mut [T]) {
        match self.0 {}
    }

    pub(crate) fn store<T: Plain + Immutable>(&self, _: usize, _: &[T]) {
        match self.0 {}
    }

    pub(crate) fn store_one<T: Plain>(&self, _: usize, _: T) {
        match self.0 {}
    }

    pub(crate) fn load_one<T: Plain>(&self, _: usize) -> T {
        match self.0 {}
    }

    pub(crate) fn append_to<T: Plain>(&self, _: usize, _: usize, _: &mut Vec<T>) {
        match self.0 {}
    }
}

impl AsFd for Mapping {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self.0 {}
    }
}
