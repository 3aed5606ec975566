//! Death by descriptor: the kernel kills a process when the last writer of a pipe is gone.
//!
//! [fcntl(2)](https://man7.org/linux/man-pages/man2/fcntl.2.html): when a descriptor with `O_ASYNC`
//! becomes readable, the kernel sends the signal of `F_SETSIG` to the process of `F_SETOWN`. The
//! read end of a pipe becomes readable when its last writer is gone.

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl, open},
    sys::stat::Mode,
    unistd::getpid,
};
use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

/// Makes the kernel kill this process when the last writer of `pipe` is gone, whatever signals the
/// process blocks.
///
/// The kernel reports only changes. So the caller must check afterwards whether the last writer was
/// gone before.
pub(crate) fn arm(pipe: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: `F_SETOWN` takes an integer and touches no memory of ours.
    Errno::result(unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETOWN, getpid().as_raw()) })?;
    // SAFETY: as above.
    Errno::result(unsafe { libc::fcntl(pipe.as_raw_fd(), F_SETSIG, libc::SIGKILL) })?;
    let flags = OFlag::from_bits_retain(fcntl(pipe, FcntlArg::F_GETFL)?);
    fcntl(pipe, FcntlArg::F_SETFL(flags | OFlag::O_ASYNC))?;
    Ok(())
}

/// Ties this process, which is a copy of an [armed](arm) one, to the same pipe. The tie lasts until
/// the returned descriptor is closed. Which process is killed is a property of the open file, and
/// copies share it. So this function opens the pipe again.
pub(crate) fn tie_copy(pipe: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let path = format!("/proc/thread-self/fd/{}", pipe.as_raw_fd());
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let own = open(path.as_str(), flags, Mode::empty())?;
    arm(own.as_fd())?;
    Ok(own)
}

/// The value in `fcntl.h`. It is the same on every Linux architecture, but the libc crate lacks it
/// for some.
const F_SETSIG: libc::c_int = 10;
