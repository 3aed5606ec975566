//! Memory that has a descriptor and no name, which cannot be made here.

use super::unsupported;
use std::{
    fs::File,
    io::{self, Write},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

#[derive(Debug)]
pub(crate) struct Memory(File);

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
        Self(fd.into())
    }
}

impl From<Memory> for OwnedFd {
    fn from(memory: Memory) -> Self {
        memory.0.into()
    }
}

impl From<Memory> for File {
    fn from(memory: Memory) -> Self {
        memory.0
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
