//! Many descriptors, of which those that are ready are found without a look at the others:
//! [epoll(7)](https://man7.org/linux/man-pages/man7/epoll.7.html).

use nix::{
    errno::Errno,
    sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

/// How many are told of at once.
const AT_ONCE: usize = 64;

/// Descriptors that are watched for something to read, or an end. Each has a key. It is itself readable while one of them is ready.
#[derive(Debug)]
pub(crate) struct Watch(Epoll);

impl Watch {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?))
    }

    /// Adds a descriptor, which makes this one readable as long as it is ready.
    #[cfg(feature = "net")]
    pub(crate) fn add(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(self.0.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, 0))?)
    }

    /// Adds a descriptor, which is told of once.
    pub(crate) fn add_once(&self, fd: BorrowedFd<'_>, key: u64) -> io::Result<()> {
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLONESHOT;
        Ok(self.0.add(fd, EpollEvent::new(flags, key))?)
    }

    /// Removes a descriptor. Closing it does not remove it where a copy of this process holds it as well.
    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) {
        // One that is not there need not be removed.
        let _ = self.0.delete(fd);
    }

    /// Waits until some are ready, as long as that takes, and returns their keys.
    pub(crate) fn wait(&self) -> io::Result<Vec<u64>> {
        self.look(EpollTimeout::NONE)
    }

    /// Returns the keys of some that are ready, without waiting: of none if none are.
    pub(crate) fn ready(&self) -> io::Result<Vec<u64>> {
        self.look(EpollTimeout::ZERO)
    }

    fn look(&self, timeout: EpollTimeout) -> io::Result<Vec<u64>> {
        let mut events = [EpollEvent::empty(); AT_ONCE];
        loop {
            match self.0.wait(&mut events, timeout) {
                Ok(count) => return Ok(events[..count].iter().map(EpollEvent::data).collect()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_fd()
    }
}
