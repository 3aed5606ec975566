//! Processes as they are named in shared memory, whoever started them, and their end.
//!
//! The id of a process is given again to another when it has been reaped. With the time of its start, which `/proc` tells, it is the
//! process and no other. Both mean something in one pid namespace only.

use super::{sentinel, wait};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous};
use std::{
    fs, io,
    num::NonZero,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    process,
    ptr::NonNull,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

/// A process: its id, where that is its id, and when it started. All zeros are nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The id in the lower half; in the upper the pid and the time namespace, by the numbers of their files.
    place: u64,
    /// In ticks of the clock since boot.
    start: u64,
}

/// What can be told of a process.
#[derive(Debug)]
pub(crate) enum Watch {
    /// It has ended.
    Gone,
    /// This descriptor is readable when it ends.
    Pidfd(OwnedFd),
    /// It is of another namespace: from here its end cannot be seen.
    Elsewhere,
}

impl Peer {
    /// This process. No system call but the first time in each process.
    pub(crate) fn this() -> io::Result<Self> {
        let known = known()?;
        let place = known[0].load(Ordering::Acquire);
        if place != 0 {
            let start = known[1].load(Ordering::Relaxed);
            return Ok(Self { place, start });
        }
        let id = process::id();
        let start = start_time(id)?.ok_or(io::ErrorKind::NotFound)?;
        let place = u64::from(namespaces()) << 32 | u64::from(id);
        known[1].store(start, Ordering::Relaxed);
        known[0].store(place, Ordering::Release);
        Ok(Self { place, start })
    }

    /// The process of two words in shared memory.
    pub(crate) fn from_words([place, start]: [u64; 2]) -> Self {
        Self { place, start }
    }

    /// The process in two words. The first is never zero.
    pub(crate) fn words(self) -> [u64; 2] {
        [self.place, self.start]
    }

    /// Looks whether it lives, and how its end is to be told.
    pub(crate) fn watch(self) -> io::Result<Watch> {
        #[allow(clippy::cast_possible_truncation, reason = "it is the lower half")]
        let id = self.place as u32;
        if self.place == 0 {
            return Ok(Watch::Gone);
        }
        if self.place >> 32 != Self::this()?.place >> 32 {
            return Ok(Watch::Elsewhere);
        }
        // First the descriptor, then the time: if it is of a former process of this id, that one has ended, and the time tells.
        let pidfd = match sentinel::open_pidfd(id) {
            Ok(pidfd) => pidfd,
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::ESRCH | libc::EINVAL | libc::ENOENT)
                ) =>
            {
                return Ok(Watch::Gone);
            }
            Err(error) => return Err(error),
        };
        if start_time(id)? != Some(self.start) {
            return Ok(Watch::Gone);
        }
        // It may have ended and not been reaped. (That its main thread has ended is no sign of it.)
        let has_ended = wait::readable(pidfd.as_fd(), Some(Instant::now()))?;
        Ok(if has_ended {
            Watch::Gone
        } else {
            Watch::Pidfd(pidfd)
        })
    }
}

/// When a process started; none if there is none of this id.
fn start_time(id: u32) -> io::Result<Option<u64>> {
    let stat = match fs::read_to_string(format!("/proc/{id}/stat")) {
        Ok(stat) => stat,
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    // The name, which may hold anything, ends with the last parenthesis. The state follows, and the start is the 22nd field.
    let (_, fields) = stat.rsplit_once(") ").ok_or(io::ErrorKind::InvalidData)?;
    let ticks = fields.split(' ').nth(19);
    let ticks = ticks.and_then(|ticks| ticks.parse().ok());
    Ok(Some(ticks.ok_or(io::ErrorKind::InvalidData)?))
}

/// The pid and the time namespace of this process in one number.
fn namespaces() -> u32 {
    let number = |name| fs::metadata(name).map_or(0, |file| file.ino());
    // A kernel may be without time namespaces.
    let both =
        number("/proc/thread-self/ns/pid") ^ number("/proc/thread-self/ns/time").rotate_left(16);
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the numbers are of 32 bits"
    )]
    let both = both as u32;
    both
}

/// What this process has found out about itself. A copy of it, however it is made, begins with zeros: the kernel sees to that.
fn known() -> io::Result<&'static [AtomicU64; 2]> {
    static PAGE: OnceLock<&'static [AtomicU64; 2]> = OnceLock::new();
    const LENGTH: NonZero<usize> = NonZero::new(4096).expect("it is not zero");
    if let Some(page) = PAGE.get() {
        return Ok(page);
    }
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: the kernel chooses an address where nothing is.
    let page = unsafe { mmap_anonymous(None, LENGTH, protection, MapFlags::MAP_PRIVATE) }?;
    // SAFETY: the range is that of the mapping just made.
    unsafe { madvise(page, LENGTH.get(), MmapAdvise::MADV_WIPEONFORK) }?;
    let page: NonNull<[AtomicU64; 2]> = page.cast();
    // SAFETY: the mapping is longer than that, aligned as a page is, and never unmapped; every bit pattern is a number.
    let page: &'static [AtomicU64; 2] = unsafe { page.as_ref() };
    Ok(PAGE.get_or_init(|| page))
}

#[cfg(test)]
mod tests {
    use super::{Peer, Watch};
    use crate::sys::wait;
    use std::{
        os::fd::AsFd,
        process::{Command, Stdio},
        time::Instant,
    };

    #[test]
    fn this_process_lives() {
        let this = Peer::this().unwrap();
        assert_eq!(Peer::this().unwrap(), this);
        assert_eq!(Peer::from_words(this.words()), this);
        let Watch::Pidfd(pidfd) = this.watch().unwrap() else {
            panic!("it lives");
        };
        assert!(!wait::readable(pidfd.as_fd(), Some(Instant::now())).unwrap());
    }

    #[test]
    fn later_process_of_the_same_id_is_another() {
        let [place, start] = Peer::this().unwrap().words();
        let former = Peer::from_words([place, start - 1]);
        assert!(matches!(former.watch().unwrap(), Watch::Gone));
        let elsewhere = Peer::from_words([place ^ (1 << 40), start]);
        assert!(matches!(elsewhere.watch().unwrap(), Watch::Elsewhere));
    }

    #[test]
    fn end_is_told_before_and_after_reaping() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let id = u64::from(child.id());
        let [place, _] = Peer::this().unwrap().words();
        let start = super::start_time(child.id()).unwrap().unwrap();
        let peer = Peer::from_words([place >> 32 << 32 | id, start]);
        let Watch::Pidfd(pidfd) = peer.watch().unwrap() else {
            panic!("it lives");
        };
        child.kill().unwrap();
        assert!(wait::readable(pidfd.as_fd(), None).unwrap());
        assert!(matches!(peer.watch().unwrap(), Watch::Gone));
        child.wait().unwrap();
        assert!(matches!(peer.watch().unwrap(), Watch::Gone));
    }
}
