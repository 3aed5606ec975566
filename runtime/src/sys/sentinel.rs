//! A descriptor that tells of the end of a process: a pidfd, or a pipe where there are no pidfds.
//!
//! [pidfd_open(2)](https://man7.org/linux/man-pages/man2/pidfd_open.2.html) is older than every
//! kernel that this crate supports, but valgrind and some container sandboxes do not know it. There
//! the child holds the write end of a pipe, which is closed when the child ends. The child is known
//! by its id: no other process can have the id of a child that has not been reaped, and before the
//! id is used, it is checked that there is such a child.
//!
//! Only two kinds of children mislead the pipe. A child that closes descriptors that it does not
//! own looks as if it had ended. A child that hands them on by a bare `fork` looks as if it lived.

use super::wait;
use nix::{errno::Errno, sys::wait::WaitPidFlag};
use std::{
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
        unix::process::ExitStatusExt,
    },
    process::{self, ExitStatus},
    sync::OnceLock,
    time::{Duration, Instant},
};

/// Tells of the end of a child, and reaps the child.
#[derive(Debug)]
pub(crate) struct Sentinel {
    id: u32,
    fd: OwnedFd,
    kind: Kind,
    /// What the process used. It is set once the process has been reaped here.
    usage: OnceLock<Usage>,
}

/// What a process used from its beginning to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// The most memory that was resident at one time, in bytes.
    pub(crate) peak_memory: u64,
    /// The time in user mode and in the kernel.
    pub(crate) cpu_time: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Pidfd,
    Pipe,
}

/// What reaping a child found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reaped {
    /// It still runs, or a debugger has not let go of it yet.
    Running,
    /// It ended in this way.
    Ended(ExitStatus),
    /// Somebody else has reaped it, and the kernel does not tell how it ended: a `waitpid(-1)` of
    /// the user's, or the kernel if SIGCHLD is ignored.
    Elsewhere,
}

/// Opens a pidfd of the process that has this id now. The id of a child of ours that has not been
/// reaped is surely its own. For any other process, the caller must check afterwards which process
/// it is.
pub(crate) fn open_pidfd(pid: u32) -> io::Result<OwnedFd> {
    let flags: libc::c_uint = 0;
    // SAFETY: the call takes two integers and no pointer.
    let fd =
        Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.cast_signed(), flags) })?;
    let fd = RawFd::try_from(fd).map_err(|_| io::ErrorKind::InvalidData)?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends a signal to the process of a pidfd. Does nothing if the process is gone.
pub(crate) fn signal(pidfd: &OwnedFd, number: i32) -> io::Result<()> {
    let (info, flags): (*const libc::siginfo_t, libc::c_uint) = (std::ptr::null(), 0);
    // SAFETY: the call takes a null `siginfo_t` for a signal like that of kill(2).
    unless_gone(Errno::result(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            number,
            info,
            flags,
        )
    }))
}

/// Whether a filter may have refused the call.
fn is_refused(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM))
}

fn unless_gone<T>(sent: nix::Result<T>) -> io::Result<()> {
    match sent.map(drop) {
        Err(Errno::ESRCH) => Ok(()),
        sent => Ok(sent?),
    }
}

/// Sends a signal to a child of ours by its id. Does nothing if no child has that id: somebody else
/// has reaped the child, and the id may be another process's.
fn kill_child(id: u32, number: i32) -> io::Result<()> {
    if look(libc::P_PID, id) == Err(Errno::ECHILD) {
        return Ok(());
    }
    // SAFETY: the call takes two integers.
    unless_gone(Errno::result(unsafe {
        libc::kill(id.cast_signed(), number)
    }))
}

/// Asks whether a child has ended, without blocking and without reaping it. Fails with `ECHILD` if
/// there is no such child.
fn look(kind: libc::idtype_t, id: u32) -> nix::Result<()> {
    let options = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
    // SAFETY: a null result is allowed, and then nothing is written.
    Errno::result(unsafe { libc::waitid(kind, id, std::ptr::null_mut(), options.bits()) }).map(drop)
}

/// `struct pidfd_info` of the kernel's `linux/pidfd.h`, in its first version.
#[repr(C)]
#[derive(Debug, Default)]
struct Info {
    mask: u64,
    cgroup: u64,
    /// Ids of the process, of its parent and of its users.
    ids: [u32; 11],
    exit_code: i32,
}

/// `PIDFD_GET_INFO`: `_IOWR(0xff, 11, struct pidfd_info)`.
const GET_INFO: u32 = 0xc040_ff0b;
const _: () = assert!(size_of::<Info>() == 0x40);
/// `PIDFD_INFO_EXIT`: the status, which is there once the process has been reaped.
const EXIT: u64 = 1 << 3;

/// Returns what the kernel has kept of a process that somebody has reaped. Linux 6.15 and later
/// keep the status.
fn info_of_reaped(pidfd: &OwnedFd) -> nix::Result<Option<ExitStatus>> {
    let mut info = Info {
        mask: EXIT,
        ..Info::default()
    };
    // SAFETY: the request is for a structure of this form and size, which is ours to write to.
    Errno::result(unsafe {
        libc::syscall(libc::SYS_ioctl, pidfd.as_raw_fd(), GET_INFO, &raw mut info)
    })?;
    let is_known = info.mask & EXIT != 0;
    Ok(is_known.then(|| ExitStatus::from_raw(info.exit_code)))
}

/// If the kernel reaps by itself, the longest time that it may take from telling of an end to
/// having reaped.
const MOMENT: Duration = Duration::from_secs(1);

/// Returns how a process ended that somebody else has reaped, if the kernel knows.
fn status_of_reaped(pidfd: &OwnedFd) -> Option<ExitStatus> {
    match info_of_reaped(pidfd) {
        Ok(Some(status)) => Some(status),
        Ok(None) => {
            // The hang-up comes when the process has been reaped.
            let reaped = [(pidfd.as_fd(), wait::For::End)];
            wait::until_ready(&reaped, wait::deadline(MOMENT)).ok()?;
            info_of_reaped(pidfd).ok()?
        }
        // Linux before 6.13 does not know the request.
        Err(_) => None,
    }
}

/// Whether the process of a pidfd, or of the pipe that stands for one, has ended. It has ended when
/// all of its threads have.
pub(crate) fn has_ended(fd: BorrowedFd<'_>) -> bool {
    wait::readable(fd, Some(Instant::now())).unwrap_or(false)
}

/// Whether this process can open pidfds.
pub(crate) fn has_pidfds() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| match open_pidfd(process::id()) {
        Ok(_) => true,
        Err(error) => !is_refused(&error),
    })
}

/// Kills and reaps a child of ours that has no descriptor. Blocks until the child has ended.
pub(crate) fn put_down(id: u32) {
    // If the kill fails, the child ends by itself, and this waits for that.
    let _ = kill_child(id, libc::SIGKILL);
    // If this fails, somebody else has reaped the child.
    let _ = wait4(id, WaitPidFlag::empty());
}

/// Reaps a child of ours by its id. Returns `None` if it still runs, and the options say not to
/// wait.
fn wait4(id: u32, options: WaitPidFlag) -> nix::Result<Option<(ExitStatus, libc::rusage)>> {
    let mut status = 0;
    // SAFETY: `rusage` is a plain C struct, for which all zeros are a valid value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both places are valid to write to.
        let reaped = Errno::result(unsafe {
            libc::wait4(
                id.cast_signed(),
                &raw mut status,
                options.bits(),
                &raw mut usage,
            )
        });
        match reaped {
            Err(Errno::EINTR) => {}
            Ok(0) => return Ok(None),
            result => return result.map(|_| Some((ExitStatus::from_raw(status), usage))),
        }
    }
}

/// Whether this is the pidfd of a process that lives and is no child of ours.
fn is_stranger(pidfd: &OwnedFd) -> bool {
    let child = look(libc::P_PIDFD, pidfd.as_raw_fd().cast_unsigned());
    child == Err(Errno::ECHILD) && !has_ended(pidfd.as_fd())
}

impl Sentinel {
    /// Returns the sentinel of a child that has just been made. `pipe` is there if [`has_pidfds`]
    /// says that it is needed.
    pub(crate) fn new(id: u32, pipe: Option<OwnedFd>) -> io::Result<Self> {
        Ok(match pipe {
            Some(fd) => Self {
                id,
                fd,
                kind: Kind::Pipe,
                usage: OnceLock::new(),
            },
            None => match open_pidfd(id) {
                // Another process has got the id of the child.
                Ok(fd) if is_stranger(&fd) => Self::of_nobody(id)?,
                Ok(fd) => Self {
                    id,
                    fd,
                    kind: Kind::Pidfd,
                    usage: OnceLock::new(),
                },
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Self::of_nobody(id)?,
                Err(error) => return Err(error),
            },
        })
    }

    /// Returns the sentinel of a child that has ended and was reaped by somebody else. A pipe
    /// without a writer says that the child has ended.
    fn of_nobody(id: u32) -> io::Result<Self> {
        Ok(Self {
            usage: OnceLock::new(),
            id,
            fd: io::pipe()?.0.into(),
            kind: Kind::Pipe,
        })
    }

    /// Returns the id of the process.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Whether the process has ended.
    pub(crate) fn has_ended(&self) -> bool {
        has_ended(self.fd.as_fd())
    }

    /// Sends a signal to the process. Does nothing if the process is gone. The caller must not reap
    /// it meanwhile.
    pub(crate) fn signal(&self, number: i32) -> io::Result<()> {
        match self.kind {
            Kind::Pidfd => match signal(&self.fd, number) {
                // A filter may refuse this call and not the other one. While the process lives,
                // nobody has reaped it, and its id is its own.
                Err(error) if is_refused(&error) && !self.has_ended() => {
                    kill_child(self.id, number)
                }
                result => result,
            },
            // If somebody else has reaped it, the id may be that of another process, even of
            // another child.
            Kind::Pipe if self.has_ended() => Ok(()),
            Kind::Pipe => kill_child(self.id, number),
        }
    }

    /// Reaps the process, after its descriptor has told of its end.
    pub(crate) fn reap(&self) -> io::Result<Reaped> {
        let now = match self.kind {
            Kind::Pidfd => WaitPidFlag::WNOHANG,
            // The pipe closes a moment before the process can be reaped, so this call waits for
            // that.
            Kind::Pipe => WaitPidFlag::empty(),
        };
        let (info, usage) = match self.waitid(WaitPidFlag::WEXITED | now) {
            Err(Errno::ECHILD) => return Ok(self.reaped_elsewhere()),
            // A filter may refuse this call and not the older one.
            Err(Errno::ENOSYS | Errno::EPERM) => return self.reap_by_id(now),
            result => result?,
        };
        // SAFETY: waitid has succeeded, so it has either filled in the fields of a child or left
        // them zero.
        let pid = unsafe { info.si_pid() };
        // SAFETY: as above.
        let status = unsafe { info.si_status() };
        if pid != 0 {
            let _ = self.usage.set(Usage::new(&usage));
        }
        // waitid(2) tells in parts what wait(2) tells in one number. std's type is made of that
        // number.
        Ok(match (pid, info.si_code) {
            (0, _) => Reaped::Running,
            (_, libc::CLD_EXITED) => Reaped::Ended(ExitStatus::from_raw((status & 0xff) << 8)),
            (_, libc::CLD_DUMPED) => Reaped::Ended(ExitStatus::from_raw(status | 0x80)),
            _ => Reaped::Ended(ExitStatus::from_raw(status)),
        })
    }

    /// Reaps the process by its id. Its id is its own until it has been reaped.
    fn reap_by_id(&self, options: WaitPidFlag) -> io::Result<Reaped> {
        match wait4(self.id, options) {
            Ok(None) => Ok(Reaped::Running),
            Ok(Some((status, usage))) => {
                let _ = self.usage.set(Usage::new(&usage));
                Ok(Reaped::Ended(status))
            }
            Err(Errno::ECHILD) => Ok(self.reaped_elsewhere()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Whether the process is stopped, for example by SIGSTOP.
    pub(crate) fn is_stopped(&self) -> bool {
        let now = WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        // SAFETY: waitid has succeeded, so it has either filled in the fields of a child or left
        // them zero.
        self.waitid(now)
            .is_ok_and(|(info, _)| unsafe { info.si_pid() } != 0)
    }

    /// Returns what is known of a process that somebody else has reaped.
    fn reaped_elsewhere(&self) -> Reaped {
        let status = match self.kind {
            Kind::Pidfd => status_of_reaped(&self.fd),
            Kind::Pipe => None,
        };
        status.map_or(Reaped::Elsewhere, Reaped::Ended)
    }

    /// Blocks until the process can be reaped, and leaves that to the next call.
    pub(crate) fn await_end(&self) -> io::Result<()> {
        match self.waitid(WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) {
            Ok(_) | Err(Errno::ECHILD) => Ok(()),
            Err(Errno::ENOSYS | Errno::EPERM) => wait::readable(self.fd.as_fd(), None).map(drop),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Returns what the process used, once it has been reaped here.
    pub(crate) fn usage(&self) -> Option<Usage> {
        self.usage.get().copied()
    }

    // nix's own waitid knows the names of the old signals only, and fails for a process that
    // another signal has killed. The waitid of the C library does not tell what the process used.
    // The kernel's does.
    fn waitid(&self, options: WaitPidFlag) -> nix::Result<(libc::siginfo_t, libc::rusage)> {
        let (kind, id) = match self.kind {
            Kind::Pidfd => (libc::P_PIDFD, self.fd.as_raw_fd().cast_unsigned()),
            Kind::Pipe => (libc::P_PID, self.id),
        };
        // SAFETY: `siginfo_t` is a plain C struct, for which all zeros are a valid value.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: `rusage` is a plain C struct, for which all zeros are a valid value.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        loop {
            // SAFETY: `info` and `usage` are valid places to write to, and the descriptor is open
            // while it is borrowed.
            let waited = Errno::result(unsafe {
                libc::syscall(
                    libc::SYS_waitid,
                    kind,
                    id,
                    &raw mut info,
                    options.bits(),
                    &raw mut usage,
                )
            });
            match waited {
                Err(Errno::EINTR) => {}
                result => return result.map(|_| (info, usage)),
            }
        }
    }
}

impl Usage {
    fn new(usage: &libc::rusage) -> Self {
        let duration = |time: libc::timeval| {
            let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
            let micros = u64::try_from(time.tv_usec).unwrap_or(0);
            Duration::from_secs(seconds) + Duration::from_micros(micros)
        };
        Self {
            // In units of 1024 bytes.
            peak_memory: u64::try_from(usage.ru_maxrss).unwrap_or(0) << 10,
            cpu_time: duration(usage.ru_utime) + duration(usage.ru_stime),
        }
    }
}

impl AsFd for Sentinel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
