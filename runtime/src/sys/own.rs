//! What a process has found out about itself, so that asking again is no system call. A forked copy
//! begins with nothing of it: the kernel wipes the page (`MADV_WIPEONFORK`).

use super::sentinel;
use nix::{
    errno::Errno,
    sys::{
        mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous},
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

/// The words of the page. Zero is what has not been found out yet.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Own {
    number: AtomicU64,
    namespace: AtomicU64,
    /// The two words of a `Peer`, the second of which is written first.
    pub(super) peer: [AtomicU64; 2],
}

static PAGE: OnceLock<&'static Own> = OnceLock::new();

/// The namespace of a process that cannot tell which one it is in.
const UNKNOWN: u64 = u64::MAX;

/// Returns the page. Fails only the first time, when there is no memory for it.
pub(super) fn page() -> io::Result<&'static Own> {
    const LENGTH: NonZero<usize> = NonZero::new(4096).expect("it is not zero");
    if let Some(page) = PAGE.get() {
        return Ok(page);
    }
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: the kernel chooses an address where nothing is.
    let page = unsafe { mmap_anonymous(None, LENGTH, protection, MapFlags::MAP_PRIVATE) }?;
    // SAFETY: the range is that of the mapping just made.
    unsafe { madvise(page, LENGTH.get(), MmapAdvise::MADV_WIPEONFORK) }?;
    let page: NonNull<Own> = page.cast();
    // SAFETY: the mapping is longer than that, aligned as a page is, and never unmapped; every bit
    // pattern is a number.
    let page: &'static Own = unsafe { page.as_ref() };
    Ok(PAGE.get_or_init(|| page))
}

/// Returns the number of this process: no process that it was forked from has the same.
///
/// It is zero before the [page] is there.
pub(crate) fn number() -> u64 {
    // A forked copy goes on counting where its parent was.
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

/// Returns the number of this process's pid namespace, or one that says that it is not known.
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

/// Whether these are two pid namespaces, as far as that is known.
pub(super) fn are_apart(one: u64, other: u64) -> bool {
    one != other && one != UNKNOWN && other != UNKNOWN
}

/// An ioctl of pidfds that returns a descriptor of the pid namespace.
const PIDFD_GET_PID_NAMESPACE: libc::Ioctl = 0xff05;

/// The namespace of a process stays the same for its life: `unshare` and `setns` change that of its
/// later children.
fn find_namespace() -> Option<u64> {
    // The calling thread is there even when the main thread has ended.
    if let Ok(file) = fs::metadata("/proc/thread-self/ns/pid") {
        return Some(file.ino());
    }
    // Linux 6.11 tells it without `/proc`.
    let pidfd = sentinel::open_pidfd(process::id()).ok()?;
    // SAFETY: the request takes no argument, and the descriptor is open while it is borrowed.
    let fd = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_PID_NAMESPACE, 0) };
    let fd: RawFd = Errno::result(fd).ok()?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows of it.
    let namespace = unsafe { OwnedFd::from_raw_fd(fd) };
    Some(fstat(&namespace).ok()?.st_ino)
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
