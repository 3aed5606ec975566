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

/// Replaces the standard descriptor `number` by a copy of `fd`.
pub(crate) fn replace(number: RawFd, fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the call touches no memory. The descriptor that it closes is a standard one, which
    // std treats as always open and never owns.
    Errno::result(unsafe { libc::dup2(fd.as_raw_fd(), number) })?;
    Ok(())
}

/// Opens the write end of a pipe, given its read end
/// ([proc(5)](https://man7.org/linux/man-pages/man5/proc_pid_fd.5.html)).
pub(crate) fn open_to_write(pipe: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // `/proc/self` is empty once the main thread has ended.
    let path = format!("/proc/thread-self/fd/{}", pipe.as_raw_fd());
    // A peer may have sent something other than a pipe, whose opening could block.
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    Ok(open(path.as_str(), flags, Mode::empty())?)
}

/// Opens the working directory, so that another process can make it its own.
pub(crate) fn working_directory() -> io::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    // A directory that may not be searched cannot be opened as `.`, but this link leads to it.
    let directory = open(".", flags, Mode::empty());
    Ok(directory.or_else(|_| open("/proc/thread-self/cwd", flags, Mode::empty()))?)
}

/// Makes a directory the working directory of this process.
pub(crate) fn set_working_directory(directory: BorrowedFd<'_>) -> io::Result<()> {
    Ok(fchdir(directory)?)
}

/// Returns the open file of standard input under another number, closed on exec.
pub(crate) fn take_stdin() -> io::Result<OwnedFd> {
    duplicate_above_standard(io::stdin().as_fd())
}

/// Connects standard input to `/dev/null`.
pub(crate) fn replace_input_by_null() -> io::Result<()> {
    replace(libc::STDIN_FILENO, null()?.as_fd())
}

/// Returns the same open file under a number above the standard ones, closed on exec.
pub(super) fn duplicate_above_standard(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let fd = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(libc::STDERR_FILENO + 1));
    // The limit is so low that there are no such numbers.
    let fd = fd.map_err(|errno| {
        if errno == Errno::EINVAL {
            Errno::EMFILE
        } else {
            errno
        }
    })?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Opens `/dev/null`, closed on exec.
pub(crate) fn null() -> io::Result<OwnedFd> {
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC;
    Ok(open("/dev/null", flags, Mode::empty())?)
}

/// Connects all three standard descriptors to `/dev/null`, for a process that was given no streams.
pub(crate) fn replace_all_by_null() -> io::Result<()> {
    // Not closed on exec: if a standard descriptor was closed, this open may have taken its number.
    let null = open("/dev/null", OFlag::O_RDWR, Mode::empty())?;
    for number in [libc::STDIN_FILENO, libc::STDOUT_FILENO, libc::STDERR_FILENO] {
        replace(number, null.as_fd())?;
    }
    drop(above_standard(null)?);
    Ok(())
}

/// Returns the same open file under a number above the standard ones. It has a standard number if
/// that descriptor was closed when the file was opened.
pub(crate) fn above_standard(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() > libc::STDERR_FILENO {
        return Ok(fd);
    }
    let copy = fd.try_clone()?;
    // It is a standard descriptor, and those are never closed.
    let _ = fd.into_raw_fd();
    Ok(copy)
}

/// Opens `/dev/null` for each standard descriptor that is closed. Otherwise a file that is opened
/// later would take its number and receive what is printed.
pub(crate) fn fill_gaps() -> io::Result<()> {
    let streams: [&dyn AsFd; 3] = [&io::stdin(), &io::stdout(), &io::stderr()];
    for stream in streams {
        if fcntl(stream.as_fd(), FcntlArg::F_GETFD) == Err(Errno::EBADF) {
            // The file gets the lowest free number, which is this one. It is not closed on exec,
            // since a program that is run from here needs its standard descriptors too. It is a
            // standard descriptor now, and those are never closed.
            let _ = open("/dev/null", OFlag::O_RDWR, Mode::empty())?.into_raw_fd();
        }
    }
    Ok(())
}
