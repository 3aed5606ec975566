//! Death by descriptor: the kernel kills a process when the other end of a pipe is closed.
//!
//! [fcntl(2)](https://man7.org/linux/man-pages/man2/fcntl.2.html): a descriptor with `O_ASYNC` sends the signal of `F_SETSIG` to
//! the process of `F_SETOWN` when it becomes readable, and the end of a pipe is readable when its last writer is gone.

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

/// Has the kernel kill this process, whatever it blocks, when the last writer of `pipe` is gone.
///
/// That it is gone already has to be asked afterwards: the kernel tells changes only.
pub(crate) fn arm(pipe: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: F_SETOWN takes an integer and touches no memory of ours.
    Errno::result(unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETOWN, getpid().as_raw()) })?;
    // SAFETY: as above.
    Errno::result(unsafe { libc::fcntl(pipe.as_raw_fd(), F_SETSIG, libc::SIGKILL) })?;
    let flags = OFlag::from_bits_retain(fcntl(pipe, FcntlArg::F_GETFL)?);
    fcntl(pipe, FcntlArg::F_SETFL(flags | OFlag::O_ASYNC))?;
    Ok(())
}

/// Ties this process, a copy of one that is [armed](arm), to the same pipe for as long as it holds what this returns. Who is killed is
/// a matter of the open file, which copies share: so this opens the pipe anew.
pub(crate) fn tie_copy(pipe: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let path = format!("/proc/thread-self/fd/{}", pipe.as_raw_fd());
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let own = open(path.as_str(), flags, Mode::empty())?;
    arm(own.as_fd())?;
    Ok(own)
}

/// `fcntl.h`; the same on every Linux architecture, and missing from the libc crate for some.
const F_SETSIG: libc::c_int = 10;
