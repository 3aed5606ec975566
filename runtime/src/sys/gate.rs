//! A bell that every listener hears, each time it is rung: an eventfd that is never read. Each
//! listener has its own [epoll(7)](https://man7.org/linux/man-pages/man7/epoll.7.html), which
//! reports every write once (`EPOLLET`).
//!
//! With a [`Bell`], a listener that clears it could keep a slower one from ever noticing that it
//! was rung.

use super::bell::Bell;
use nix::{
    errno::Errno,
    sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

/// Wakes all listeners.
#[derive(Debug)]
pub(crate) struct Gate(Bell);

/// Readable if the gate was opened since this listener was last cleared.
#[derive(Debug)]
pub(crate) struct GateWatch(Epoll);

impl Gate {
    /// Creates a gate.
    pub(crate) fn create() -> io::Result<Self> {
        Bell::create().map(Self)
    }

    /// Shares a gate that another process created.
    pub(crate) fn open(fd: OwnedFd) -> io::Result<Self> {
        Bell::open(fd).map(Self)
    }

    /// Wakes all that listen at this moment.
    pub(crate) fn open_for_all(&self) -> io::Result<()> {
        self.0.ring()
    }

    /// Returns a listener, which listens from now on.
    pub(crate) fn listen(&self) -> io::Result<GateWatch> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
        epoll.add(&self.0, EpollEvent::new(flags, 0))?;
        let listener = GateWatch(epoll);
        // epoll also reports once what happened before it began to listen.
        listener.clear()?;
        Ok(listener)
    }
}

impl GateWatch {
    /// Forgets what the listener has heard. The caller must look at the state after this call, not
    /// before: an opening in between would be lost.
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

impl AsFd for GateWatch {
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
