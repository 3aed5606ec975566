//! Memory that has a descriptor and no name, which cannot be made here.

use super::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    unsupported,
};
use std::{
    fs::File,
    io::{self, Write},
    mem::MaybeUninit,
};

#[derive(Debug)]
pub(crate) struct Memory(OwnedFd);

impl Memory {
    pub(crate) fn rewind(&mut self) -> io::Result<()> {
        unsupported()
    }

    pub(crate) fn cut(&mut self) -> io::Result<u64> {
        unsupported()
    }

    pub(crate) fn length(&self) -> io::Result<u64> {
        unsupported()
    }
}

impl Write for Memory {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        unsupported()
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Memory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Memory {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl From<Memory> for OwnedFd {
    fn from(memory: Memory) -> Self {
        memory.0
    }
}

impl From<Memory> for File {
    fn from(memory: Memory) -> Self {
        memory.0.into()
    }
}

pub(crate) fn create() -> io::Result<Memory> {
    unsupported()
}

pub(crate) fn check(_: &OwnedFd) -> io::Result<()> {
    unsupported()
}

pub(crate) fn read_into(_: &File, _: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    unsupported()
}
