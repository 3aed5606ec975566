//! The three standard descriptors.

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl, open},
    sys::stat::Mode,
    unistd::fchdir,
};
use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd},
};

/// Puts a copy of `fd` in the place of the standard descriptor `number`.
pub(crate) fn replace(number: RawFd, fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the call touches no memory. The descriptor it closes is a standard one, which std treats as always there
    // and never owns.
    Errno::result(unsafe { libc::dup2(fd.as_raw_fd(), number) })?;
    Ok(())
}

/// Opens the other end of a pipe, of which the descriptor is the end to read from
/// ([proc(5)](https://man7.org/linux/man-pages/man5/proc_pid_fd.5.html)).
pub(crate) fn open_to_write(pipe: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // The process's own directory is empty once its main thread has ended.
    let path = format!("/proc/thread-self/fd/{}", pipe.as_raw_fd());
    // Of something else than a pipe, which a peer may have sent, this could wait.
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    Ok(open(path.as_str(), flags, Mode::empty())?)
}

/// Opens the working directory, so that another process can make it its own.
pub(crate) fn working_directory() -> io::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    // Where it may not be searched it has no such name, but this link leads to it.
    let directory = open(".", flags, Mode::empty());
    Ok(directory.or_else(|_| open("/proc/thread-self/cwd", flags, Mode::empty()))?)
}

/// Makes a directory the working directory.
pub(crate) fn set_working_directory(directory: BorrowedFd<'_>) -> io::Result<()> {
    Ok(fchdir(directory)?)
}

/// Returns the open file of the standard input under another number, closed on exec.
pub(crate) fn take_stdin() -> io::Result<OwnedFd> {
    duplicate_above_standard(io::stdin().as_fd())
}

/// Leads the standard input to `/dev/null`.
pub(crate) fn replace_input_by_null() -> io::Result<()> {
    replace(libc::STDIN_FILENO, null()?.as_fd())
}

/// Returns the same open file under a number above the standard ones, closed on exec.
pub(super) fn duplicate_above_standard(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let fd = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(libc::STDERR_FILENO + 1))?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Opens `/dev/null`, closed on exec.
pub(crate) fn null() -> io::Result<OwnedFd> {
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC;
    Ok(open("/dev/null", flags, Mode::empty())?)
}

/// Leads all three standard descriptors to `/dev/null`, as those of a process that was given none.
pub(crate) fn replace_all_by_null() -> io::Result<()> {
    // Not closed on exec: where one of them was closed, this may be in its place already.
    let null = open("/dev/null", OFlag::O_RDWR, Mode::empty())?;
    for number in [libc::STDIN_FILENO, libc::STDOUT_FILENO, libc::STDERR_FILENO] {
        replace(number, null.as_fd())?;
    }
    drop(above_standard(null)?);
    Ok(())
}

/// Returns the same open file under a number above the standard ones, which it may have where one of those was closed.
pub(crate) fn above_standard(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() > libc::STDERR_FILENO {
        return Ok(fd);
    }
    let copy = fd.try_clone()?;
    // It is a standard descriptor, and those are never closed.
    let _ = fd.into_raw_fd();
    Ok(copy)
}

/// Opens `/dev/null` for each standard descriptor that is closed, so that no file opened later takes its number and gets what
/// is printed.
pub(crate) fn fill_gaps() -> io::Result<()> {
    let streams: [&dyn AsFd; 3] = [&io::stdin(), &io::stdout(), &io::stderr()];
    for stream in streams {
        if fcntl(stream.as_fd(), FcntlArg::F_GETFD) == Err(Errno::EBADF) {
            // It gets the lowest number that is free, which is this one. Not closed on exec: what is run from here needs its
            // standard descriptors too. It is one of those now, and they are never closed.
            let _ = open("/dev/null", OFlag::O_RDWR, Mode::empty())?.into_raw_fd();
        }
    }
    Ok(())
}
