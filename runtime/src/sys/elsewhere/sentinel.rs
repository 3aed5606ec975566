//! A descriptor that tells of the end of a process, which there is none of here.

use super::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    unsupported,
};
use std::{convert::Infallible, io, process::ExitStatus, time::Duration};

#[derive(Debug)]
pub(crate) struct Sentinel(Infallible);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) peak_memory: u64,
    pub(crate) cpu_time: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(dead_code, reason = "there is no process to reap here")]
pub(crate) enum Reaped {
    Running,
    Ended(ExitStatus),
    Elsewhere,
}

pub(crate) fn open_pidfd(_: u32) -> io::Result<OwnedFd> {
    unsupported()
}

pub(crate) fn has_pidfds() -> bool {
    false
}

pub(crate) fn put_down(_: u32) {}

impl Sentinel {
    pub(crate) fn new(_: u32, _: Option<OwnedFd>) -> io::Result<Self> {
        unsupported()
    }

    pub(crate) fn id(&self) -> u32 {
        match self.0 {}
    }

    pub(crate) fn has_ended(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn signal(&self, _: i32) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn reap(&self) -> io::Result<Reaped> {
        match self.0 {}
    }

    pub(crate) fn is_stopped(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn await_end(&self) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn usage(&self) -> Option<Usage> {
        match self.0 {}
    }
}

impl AsFd for Sentinel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self.0 {}
    }
}
