//! One descriptor that is readable when one of two is: an [epoll(7)](https://man7.org/linux/man-pages/man7/epoll.7.html).

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

/// Readable while something can be read, or nobody holds the other end of something else.
#[derive(Debug)]
pub(crate) struct Readiness(Epoll);

impl Readiness {
    /// Watches both for as long as somebody has them open.
    pub(crate) fn new(read: BorrowedFd<'_>, end: BorrowedFd<'_>) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(read, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        // The end is told without being asked for.
        epoll.add(end, EpollEvent::new(EpollFlags::empty(), 1))?;
        Ok(Self(epoll))
    }
}

impl AsFd for Readiness {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_fd()
    }
}
