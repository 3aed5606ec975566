//! Processes by descriptor: [pidfd_open(2)](https://man7.org/linux/man-pages/man2/pidfd_open.2.html).

use nix::errno::Errno;
use std::{
    io,
    os::{
        fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
        unix::process::ExitStatusExt,
    },
    process::ExitStatus,
};

/// Opens a descriptor for a process that cannot be reaped meanwhile: a child of ours, or our parent.
pub(crate) fn open(pid: u32) -> io::Result<OwnedFd> {
    let flags: libc::c_uint = 0;
    // SAFETY: the call takes two integers and no pointer.
    let fd =
        Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, flags) })?;
    let fd = RawFd::try_from(fd).map_err(|_| io::ErrorKind::InvalidData)?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends a signal to the process, and to no other, even if its id has been given to another one.
///
/// Returns whether the process was there to get it.
pub(crate) fn send_signal(process: BorrowedFd<'_>, signal: i32) -> io::Result<bool> {
    let info: *const libc::siginfo_t = std::ptr::null();
    let flags: libc::c_uint = 0;
    // SAFETY: a null `siginfo_t` is what the call takes for a signal like that of kill(2).
    let sent = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_raw_fd(),
            signal,
            info,
            flags,
        )
    };
    match Errno::result(sent) {
        Ok(_) => Ok(true),
        Err(Errno::ESRCH) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// What reaping a child found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reaped {
    /// It still runs.
    Running,
    /// It ended so.
    Ended(ExitStatus),
    /// Somebody else has reaped it: a `waitpid(-1)` of the user's, or the kernel, where SIGCHLD is ignored.
    Elsewhere,
}

/// Reaps the process if it has ended, without waiting.
pub(crate) fn reap(process: BorrowedFd<'_>) -> io::Result<Reaped> {
    let info = match waitid(process, libc::WEXITED | libc::WNOHANG) {
        Err(Errno::ECHILD) => return Ok(Reaped::Elsewhere),
        info => info?,
    };
    // SAFETY: waitid has succeeded, so it has either filled in the fields of a child or left them zero.
    let pid = unsafe { info.si_pid() };
    // SAFETY: as above.
    let status = unsafe { info.si_status() };
    // waitid(2) tells the parts of what wait(2) tells in one number, which is the one that std's type is made of.
    Ok(match (pid, info.si_code) {
        (0, _) => Reaped::Running,
        (_, libc::CLD_EXITED) => Reaped::Ended(ExitStatus::from_raw((status & 0xff) << 8)),
        (_, libc::CLD_DUMPED) => Reaped::Ended(ExitStatus::from_raw(status | 0x80)),
        _ => Reaped::Ended(ExitStatus::from_raw(status)),
    })
}

/// Waits until the process can be reaped, and leaves that to the next call.
pub(crate) fn await_end(process: BorrowedFd<'_>) -> io::Result<()> {
    loop {
        match waitid(process, libc::WEXITED | libc::WNOWAIT) {
            Err(Errno::EINTR) => {}
            Ok(_) | Err(Errno::ECHILD) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn waitid(process: BorrowedFd<'_>, options: libc::c_int) -> nix::Result<libc::siginfo_t> {
    let id = process.as_raw_fd().cast_unsigned();
    // SAFETY: `siginfo_t` is a plain C struct, for which all zeros are a valid value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: `info` is a valid place to write to, and the descriptor is open while it is borrowed.
    Errno::result(unsafe { libc::waitid(libc::P_PIDFD, id, &raw mut info, options) })?;
    Ok(info)
}
