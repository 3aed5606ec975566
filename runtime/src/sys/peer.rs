//! Processes as shared memory names them, whoever started them, and their end.
//!
//! A process is named by its id, and by a number that no later process with the same id has. From
//! Linux 6.9 on, this is the inode number of its pidfd, which needs no `/proc`. On older kernels it
//! is the time of its start, which `/proc` tells if it shows the process.
//!
//! A process has ended only if the kernel says so: its id is free, its pidfd is readable, or the id
//! belongs to another process now. A process of which nothing can be seen counts as alive.
//!
//! Ids have a meaning in one PID namespace only. What is shared across namespaces is refused before
//! it comes to this: see [`robust`](super::robust).

use super::{own, sentinel, stat::Stat, wait};
use nix::sys::{
    stat::fstat,
    statfs::{FsType, fstatfs},
};
use std::{
    fs, io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    process,
    sync::atomic::Ordering,
    time::Instant,
};

/// A process. All zeros mean no process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The id in the lower half, and what `unique` is in the upper half.
    place: u64,
    unique: u64,
}

/// What is known of a process.
#[derive(Debug)]
pub(crate) enum Watch {
    /// It has ended.
    Gone,
    /// It lives. This descriptor becomes readable when it ends.
    Pidfd(OwnedFd),
    /// It lives, as far as can be seen, but no descriptor that tells of its end can be opened.
    Unseen,
}

/// Nothing but the id is known.
const UNKNOWN: u32 = 0;
/// The inode number of the pidfd, on Linux 6.9 and later.
const INODE: u32 = 1;
/// The time of the start, on a kernel without time namespaces. On other kernels, the number of the
/// time namespace in which the time was read is used instead of this constant. It is much higher.
/// Times of two namespaces cannot be compared.
const START: u32 = 2;

impl Peer {
    /// Finds out who this process is, so that [`this`](Self::this) need not do with the id alone.
    pub(crate) fn learn() -> io::Result<()> {
        let page = own::page()?;
        if page.peer[0].load(Ordering::Acquire) == 0 {
            find_out(page)?;
        }
        Ok(())
    }

    /// Returns this process. Makes a system call only the first time in each process.
    pub(crate) fn this() -> Self {
        let Ok(page) = own::page() else {
            return Self::new(process::id(), UNKNOWN, 0);
        };
        loop {
            let place = page.peer[0].load(Ordering::Acquire);
            if place != 0 {
                let unique = page.peer[1].load(Ordering::Relaxed);
                return Self { place, unique };
            }
            // A forked copy that has no descriptor left for a pidfd uses its id alone. Others can
            // then see that it lives, but cannot tell it from a later process that gets the id.
            if find_out(page).is_err() {
                remember(page, Self::new(process::id(), UNKNOWN, 0));
            }
        }
    }

    fn new(id: u32, sort: u32, unique: u64) -> Self {
        Self {
            place: u64::from(sort) << 32 | u64::from(id),
            unique,
        }
    }

    /// Returns the process of two words in shared memory.
    pub(crate) fn from_words([place, unique]: [u64; 2]) -> Self {
        Self { place, unique }
    }

    /// Returns the process as two words. The first is never zero.
    pub(crate) fn words(self) -> [u64; 2] {
        [self.place, self.unique]
    }

    /// Looks whether the process lives, and how its end will be told.
    pub(crate) fn watch(self) -> Watch {
        #[allow(clippy::cast_possible_truncation, reason = "it is the lower half")]
        let id = self.place as u32;
        if self.place == 0 {
            return Watch::Gone;
        }
        let pidfd = match sentinel::open_pidfd(id) {
            Ok(pidfd) => pidfd,
            // No process has the id. (A thread may have it, which is no process.)
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::ESRCH | libc::EINVAL | libc::ENOENT)
                ) =>
            {
                return Watch::Gone;
            }
            Err(_) if is_free(id) => return Watch::Gone,
            Err(_) => return Watch::Unseen,
        };
        let (sort, unique) = identify(pidfd.as_fd());
        if u64::from(sort) == self.place >> 32 && sort != UNKNOWN && unique != self.unique {
            return Watch::Gone;
        }
        // It may have ended without being reaped. (That its main thread has ended is no sign of
        // this.)
        match wait::readable(pidfd.as_fd(), Some(Instant::now())) {
            Ok(true) => Watch::Gone,
            Ok(false) => Watch::Pidfd(pidfd),
            Err(_) => Watch::Unseen,
        }
    }
}

fn find_out(page: &own::Own) -> io::Result<()> {
    let id = process::id();
    let (sort, unique) = match sentinel::open_pidfd(id) {
        Ok(pidfd) => identify(pidfd.as_fd()),
        // A sandbox without pidfds.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
            (UNKNOWN, 0)
        }
        Err(error) => return Err(error),
    };
    remember(page, Peer::new(id, sort, unique));
    Ok(())
}

/// Stores what was found out. Two threads that find out at the same time find the same, or the word
/// that was stored first stands.
fn remember(page: &own::Own, peer: Peer) {
    let [place, unique] = peer.words();
    let first = &page.peer[1];
    let _ = first.compare_exchange(0, unique, Ordering::Relaxed, Ordering::Relaxed);
    let _ = page.peer[0].compare_exchange(0, place, Ordering::Release, Ordering::Relaxed);
}

/// Returns a number that no other process with the same id has had or will have. The sort of that
/// number comes first.
fn identify(pidfd: BorrowedFd<'_>) -> (u32, u64) {
    const PIDFS: FsType = FsType(0x5049_4446);
    if fstatfs(pidfd).is_ok_and(|system| system.filesystem_type() == PIDFS) {
        return fstat(pidfd).map_or((UNKNOWN, 0), |file| (INODE, file.st_ino));
    }
    start_time(pidfd).map_or((UNKNOWN, 0), |start| (time_namespace(), start))
}

/// Returns when a process started, if that can be seen.
///
/// `/proc` counts ids in the PID namespace that mounted it, where the process may have another id.
/// The entry of the descriptor in `/proc` tells that id.
fn start_time(pidfd: BorrowedFd<'_>) -> Option<u64> {
    let path = format!("/proc/thread-self/fdinfo/{}", pidfd.as_raw_fd());
    let info = fs::read_to_string(path).ok()?;
    let mut lines = info.lines();
    let id = lines.find_map(|line| line.strip_prefix("Pid:"))?;
    // It is -1 if the process has been reaped, and 0 if `/proc` does not show the process.
    let id = id.trim().parse::<u32>().ok().filter(|id| *id != 0)?;
    Some(Stat::of(id).ok()?.start)
}

fn time_namespace() -> u32 {
    let file = fs::metadata("/proc/thread-self/ns/time").ok();
    let number = file.and_then(|file| u32::try_from(file.ino()).ok());
    number.unwrap_or(START)
}

/// Whether no process has this id.
fn is_free(id: u32) -> bool {
    // SAFETY: the call takes two integers, and sends nothing.
    let sent = unsafe { libc::kill(id.cast_signed(), 0) };
    nix::errno::Errno::result(sent) == Err(nix::errno::Errno::ESRCH)
}

#[cfg(test)]
mod tests {
    use super::{INODE, Peer, Watch, identify, start_time, time_namespace};
    use crate::sys::{sentinel, wait};
    use std::{
        os::fd::AsFd,
        process::{self, Command, Stdio},
        time::Instant,
    };

    /// A process named by its start, as on older kernels.
    fn by_start(id: u32) -> Peer {
        let pidfd = sentinel::open_pidfd(id).unwrap();
        Peer::new(id, time_namespace(), start_time(pidfd.as_fd()).unwrap())
    }

    fn by_descriptor(id: u32) -> Peer {
        let pidfd = sentinel::open_pidfd(id).unwrap();
        let (sort, unique) = identify(pidfd.as_fd());
        Peer::new(id, sort, unique)
    }

    #[test]
    fn this_process_lives() {
        Peer::learn().unwrap();
        let this = Peer::this();
        assert_eq!(Peer::this(), this);
        assert_eq!(Peer::from_words(this.words()), this);
        assert_eq!(by_descriptor(process::id()), this);
        let Watch::Pidfd(pidfd) = this.watch() else {
            panic!("it lives");
        };
        assert!(!wait::readable(pidfd.as_fd(), Some(Instant::now())).unwrap());
    }

    #[test]
    fn later_process_of_the_same_id_is_another() {
        let [place, unique] = Peer::this().words();
        let former = Peer::from_words([place, unique - 1]);
        assert!(matches!(former.watch(), Watch::Gone));
    }

    #[test]
    fn process_of_which_only_the_id_is_known_lives() {
        let id = process::id();
        assert!(matches!(Peer::new(id, 0, 0).watch(), Watch::Pidfd(_)));
        // Two names of different sorts cannot be compared.
        let otherwise = if by_descriptor(id).place >> 32 == u64::from(INODE) {
            by_start(id)
        } else {
            Peer::new(id, INODE, 3)
        };
        assert!(matches!(otherwise.watch(), Watch::Pidfd(_)));
        assert_eq!(by_start(id), by_start(id));
    }

    #[test]
    fn end_is_told_before_and_after_reaping() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let peer = by_descriptor(child.id());
        let Watch::Pidfd(pidfd) = peer.watch() else {
            panic!("it lives");
        };
        child.kill().unwrap();
        assert!(wait::readable(pidfd.as_fd(), None).unwrap());
        assert!(matches!(peer.watch(), Watch::Gone));
        child.wait().unwrap();
        assert!(matches!(peer.watch(), Watch::Gone));
    }
}
