//! A bell that stays rung: an [eventfd(2)](https://man7.org/linux/man-pages/man2/eventfd.2.html).
//! It can be waited for together with other descriptors.

use super::wait;
use nix::{
    errno::Errno,
    sys::eventfd::{EfdFlags, EventFd},
};
use std::{
    fs, io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    time::Instant,
};

/// Readable from when it is rung until it is cleared. Any process that shares it can do both.
#[derive(Debug)]
pub(crate) struct Bell(EventFd);

impl Bell {
    /// Creates a bell that is not rung.
    pub(crate) fn create() -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Self(EventFd::from_flags(flags)?))
    }

    /// Shares a bell that another process created.
    pub(crate) fn open(fd: OwnedFd) -> io::Result<Self> {
        // The link of a file without a name says what the file is. (`/proc/self` is empty once the
        // main thread has ended, so this uses `thread-self`.)
        let link = fs::read_link(format!("/proc/thread-self/fd/{}", fd.as_raw_fd()))?;
        if link.as_os_str() != "anon_inode:[eventfd]" {
            let what = "the descriptor is no eventfd";
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        // SAFETY: the descriptor is an eventfd, as was just checked, and it is owned.
        Ok(Self(unsafe { EventFd::from_owned_fd(fd) }))
    }

    /// Wakes all waiters, now and until the bell is cleared.
    pub(crate) fn ring(&self) -> io::Result<()> {
        loop {
            match self.0.write(1) {
                // The counter is full: nobody has cleared the bell. It is readable all the same.
                Ok(_) | Err(Errno::EAGAIN) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Silences the bell, however often it was rung. Returns whether it was rung.
    pub(crate) fn clear(&self) -> io::Result<bool> {
        loop {
            match self.0.read() {
                Ok(_) => return Ok(true),
                Err(Errno::EAGAIN) => return Ok(false),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Waits until the bell is rung, and leaves it rung. Returns false after the deadline.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> io::Result<bool> {
        wait::readable(self.as_fd(), deadline)
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::Bell;
    use std::{fs::File, time::Instant};

    #[test]
    fn bell_stays_rung_until_it_is_cleared() {
        let bell = Bell::create().unwrap();
        let is_rung = || bell.wait(Some(Instant::now())).unwrap();
        assert!(!is_rung());
        bell.ring().unwrap();
        bell.ring().unwrap();
        assert!(is_rung() && is_rung());
        assert!(bell.clear().unwrap());
        assert!(!is_rung() && !bell.clear().unwrap());
    }

    #[test]
    fn only_an_eventfd_is_a_bell() {
        let file = File::open("/dev/zero").unwrap();
        assert!(Bell::open(file.into()).is_err());
    }
}
