//! A bell that everybody who listens hears, each time: an eventfd that is never read, behind an
//! [epoll(7)](https://man7.org/linux/man-pages/man7/epoll.7.html) of each listener's own, which tells every write once (`EPOLLET`).
//!
//! With a [`Bell`], one listener that clears it could keep another, which was slower, from ever knowing.

use super::bell::Bell;
use nix::{
    errno::Errno,
    sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

/// Wakes all who listen.
#[derive(Debug)]
pub(crate) struct Gate(Bell);

/// Readable when the gate was opened since this was last cleared.
#[derive(Debug)]
pub(crate) struct Listener(Epoll);

impl Gate {
    /// Makes one.
    pub(crate) fn create() -> io::Result<Self> {
        Bell::create().map(Self)
    }

    /// Shares one that another process has made.
    pub(crate) fn open(fd: OwnedFd) -> io::Result<Self> {
        Bell::open(fd).map(Self)
    }

    /// Wakes all who listen at the moment.
    pub(crate) fn open_for_all(&self) -> io::Result<()> {
        self.0.ring()
    }

    /// Listens from now on.
    pub(crate) fn listen(&self) -> io::Result<Listener> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
        epoll.add(&self.0, EpollEvent::new(flags, 0))?;
        let listener = Listener(epoll);
        // What was before it listened is told once too.
        listener.clear()?;
        Ok(listener)
    }
}

impl Listener {
    /// Forgets what it has heard. What is to be looked at is looked at after that, and not before.
    pub(crate) fn clear(&self) -> io::Result<()> {
        loop {
            let mut events = [EpollEvent::empty()];
            match self.0.wait(&mut events, EpollTimeout::ZERO) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl AsFd for Gate {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::Gate;
    use crate::sys::wait;
    use std::{os::fd::AsFd, time::Instant};

    #[test]
    fn every_listener_hears_every_opening_once() {
        let gate = Gate::create().unwrap();
        gate.open_for_all().unwrap();
        let listeners = [gate.listen().unwrap(), gate.listen().unwrap()];
        let hear = || {
            listeners
                .each_ref()
                .map(|listener| wait::readable(listener.as_fd(), Some(Instant::now())).unwrap())
        };
        assert_eq!(hear(), [false; 2]);
        for _ in 0..3 {
            gate.open_for_all().unwrap();
            assert_eq!(hear(), [true; 2]);
            listeners[0].clear().unwrap();
            assert_eq!(hear(), [false, true]);
            listeners[1].clear().unwrap();
            assert_eq!(hear(), [false; 2]);
        }
    }
}
