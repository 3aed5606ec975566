//! What a process has found out about itself. It is kept, so that asking again makes no system
//! call. A forked copy begins with an empty page: the kernel wipes it (`MADV_WIPEONFORK`).

use super::sentinel;
use nix::{
    errno::Errno,
    sys::{
        mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap},
        stat::fstat,
    },
};
use std::{
    fs, io,
    num::NonZero,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::fs::MetadataExt,
    },
    process,
    ptr::NonNull,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

pub(crate) use std::os::unix::process::parent_id;

/// The words of the page. A word of zero has not been found out yet.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Own {
    number: AtomicU64,
    namespace: AtomicU64,
    /// The two words of a `Peer`. The second is written first.
    pub(super) peer: [AtomicU64; 2],
}

static PAGE: OnceLock<&'static Own> = OnceLock::new();

/// The namespace of a process that cannot tell in which one it is.
const UNKNOWN: u64 = u64::MAX;

/// Returns the page. The first call fails if there is no memory for it.
pub(super) fn page() -> io::Result<&'static Own> {
    const LENGTH: NonZero<usize> = NonZero::new(4096).expect("it is not zero");
    if let Some(page) = PAGE.get() {
        return Ok(page);
    }
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: the kernel chooses an address where nothing is mapped.
    let address = unsafe { mmap_anonymous(None, LENGTH, protection, MapFlags::MAP_PRIVATE) }?;
    // SAFETY: the range is that of the mapping just made.
    unsafe { madvise(address, LENGTH.get(), MmapAdvise::MADV_WIPEONFORK) }?;
    let page: NonNull<Own> = address.cast();
    // SAFETY: the mapping is longer than an `Own`, aligned as a page is, and never unmapped. Every
    // bit pattern is a number.
    let page: &'static Own = unsafe { page.as_ref() };
    if PAGE.set(page).is_err() {
        // SAFETY: the range is that of the mapping just made, to which nobody has a reference:
        // another thread was faster, and its page is used.
        unsafe { munmap(address, LENGTH.get()) }?;
    }
    PAGE.get().copied().ok_or_else(|| Errno::ENOMEM.into())
}

/// Makes the page, so that this process has a [`number`].
#[cfg(feature = "pool")]
pub(crate) fn prepare() -> io::Result<()> {
    page().map(drop)
}

/// Returns the number of this process. No process that it was forked from has the same number.
///
/// The number is zero before the [page] exists.
pub(crate) fn number() -> u64 {
    // A forked copy continues to count where its parent was.
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let Some(page) = PAGE.get() else { return 0 };
    let known = page.number.load(Ordering::Relaxed);
    if known != 0 {
        return known;
    }
    let new = NEXT.fetch_add(1, Ordering::Relaxed);
    let set = page
        .number
        .compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed);
    set.map_or_else(|other| other, |_| new)
}

/// Returns the number of this process's PID namespace, or [`UNKNOWN`].
pub(super) fn namespace() -> u64 {
    let Some(page) = PAGE.get() else {
        return UNKNOWN;
    };
    let known = page.namespace.load(Ordering::Relaxed);
    if known != 0 {
        return known;
    }
    let found = find_namespace().unwrap_or(UNKNOWN);
    page.namespace.store(found, Ordering::Relaxed);
    found
}

/// Whether these are two different PID namespaces. False if one of them is unknown.
pub(super) fn are_apart(one: u64, other: u64) -> bool {
    one != other && one != UNKNOWN && other != UNKNOWN
}

/// An ioctl of pidfds that returns a descriptor of the PID namespace.
const PIDFD_GET_PID_NAMESPACE: libc::Ioctl = 0xff05;

/// Finds the number of the PID namespace. A process stays in one PID namespace for its life:
/// `unshare` and `setns` change only the namespace of its later children.
fn find_namespace() -> Option<u64> {
    // The directory of the calling thread exists even when the main thread has ended.
    if let Ok(file) = fs::metadata("/proc/thread-self/ns/pid") {
        return Some(file.ino());
    }
    // Linux 6.11 and later tell it without `/proc`.
    let pidfd = sentinel::open_pidfd(process::id()).ok()?;
    // SAFETY: the request takes no argument, and the descriptor is open while it is borrowed.
    let fd = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_PID_NAMESPACE, 0) };
    let fd: RawFd = Errno::result(fd).ok()?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows of it.
    let namespace = unsafe { OwnedFd::from_raw_fd(fd) };
    Some(fstat(&namespace).ok()?.st_ino)
}

/// Returns how many bytes of memory this process has resident:
/// [proc_pid_statm(5)](https://man7.org/linux/man-pages/man5/proc_pid_statm.5.html).
#[cfg(feature = "pool")]
pub(crate) fn resident_memory() -> io::Result<u64> {
    let line = fs::read_to_string("/proc/thread-self/statm")?;
    let pages = line.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    let pages: u64 = pages.ok_or(io::ErrorKind::InvalidData)?;
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)?.unwrap_or(4096);
    Ok(pages.saturating_mul(page.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::{are_apart, namespace, number, page};

    #[test]
    fn process_keeps_its_number_and_namespace() {
        page().unwrap();
        assert_ne!(number(), 0);
        assert_eq!(number(), number());
        assert!(!are_apart(namespace(), namespace()));
        assert!(are_apart(1, 2));
        assert!(!are_apart(1, super::UNKNOWN));
    }
}
