//! One descriptor that is readable when one of two others is ready: an
//! [epoll(7)](https://man7.org/linux/man-pages/man7/epoll.7.html).

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

/// Readable while the first descriptor has something to read, or while nobody holds the other end
/// of the second one.
#[derive(Debug)]
pub(crate) struct Readiness(Epoll);

impl Readiness {
    /// Watches both descriptors, for as long as any process has them open.
    pub(crate) fn new(read: BorrowedFd<'_>, end: BorrowedFd<'_>) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(read, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        // epoll reports a hang-up without being asked.
        epoll.add(end, EpollEvent::new(EpollFlags::empty(), 1))?;
        Ok(Self(epoll))
    }
}

impl AsFd for Readiness {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_fd()
    }
}
