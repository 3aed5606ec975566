//! Many descriptors, of which the ready ones are found without a look at the others:
//! [epoll(7)](https://man7.org/linux/man-pages/man7/epoll.7.html).

use nix::{
    errno::Errno,
    sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

/// The most keys that one call returns.
const AT_ONCE: usize = 64;

/// Descriptors that are watched for something to read, or for an end. Each has a key. The `Watch`
/// is itself readable while one of them is ready.
#[derive(Debug)]
pub(crate) struct Watch(Epoll);

impl Watch {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?))
    }

    /// Adds a descriptor. The `Watch` is readable as long as this descriptor is ready.
    #[cfg(feature = "net")]
    pub(crate) fn add(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(self.0.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, 0))?)
    }

    /// Adds a descriptor that is reported once.
    pub(crate) fn add_once(&self, fd: BorrowedFd<'_>, key: u64) -> io::Result<()> {
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLONESHOT;
        Ok(self.0.add(fd, EpollEvent::new(flags, key))?)
    }

    /// Removes a descriptor. Closing it does not remove it if a forked copy of this process also
    /// holds it.
    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) {
        // A descriptor that was not added need not be removed.
        let _ = self.0.delete(fd);
    }

    /// Blocks until descriptors are ready, without a deadline, and returns their keys.
    pub(crate) fn wait(&self) -> io::Result<Vec<u64>> {
        self.look(EpollTimeout::NONE)
    }

    /// Returns the keys of descriptors that are ready, without blocking. There may be none.
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
