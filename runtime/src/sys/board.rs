//! Numbers that two processes share, in one page of memory: where the kernel writes the id of a process that one of them has
//! forked, the other reads it, whatever becomes of the first.

use super::memfd;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, munmap};
use std::{
    fs::File,
    io,
    num::NonZero,
    os::fd::{AsFd, BorrowedFd},
    ptr::NonNull,
    sync::atomic::{AtomicI32, Ordering},
};

/// One number: zero, the id of a process, or the negative errno of one that could not be made.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Number(AtomicI32);

impl Number {
    /// Returns the process that the kernel wrote, or the errno that was left instead; none while it is zero.
    pub(crate) fn outcome(&self) -> Option<io::Result<u32>> {
        match self.0.load(Ordering::Acquire) {
            0 => None,
            id if id > 0 => Some(Ok(id.cast_unsigned())),
            errno => Some(Err(io::Error::from_raw_os_error(errno.wrapping_neg()))),
        }
    }

    /// Leaves the errno of a fork that failed.
    pub(crate) fn leave_error(&self, error: &io::Error) {
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        self.0.store(errno.wrapping_neg(), Ordering::Release);
    }

    /// Makes it zero again.
    pub(crate) fn clear(&self) {
        self.0.store(0, Ordering::Release);
    }

    /// Where the kernel is to write.
    pub(super) fn as_ptr(&self) -> *mut libc::pid_t {
        self.0.as_ptr()
    }
}

/// Memory of one page that several processes write to: numbers that begin as zero.
#[derive(Debug)]
pub(crate) struct Board {
    page: NonNull<Number>,
}

// SAFETY: the page is a slice of atomics that lives as long as this does.
unsafe impl Send for Board {}
// SAFETY: as above.
unsafe impl Sync for Board {}

/// The bytes of a [`Board`].
const PAGE: NonZero<usize> = NonZero::new(4096).expect("it is not zero");

impl Board {
    /// How many numbers there are.
    pub(crate) const LENGTH: usize = PAGE.get() / size_of::<Number>();

    /// Makes one, and the file by which another process shares it.
    pub(crate) fn create() -> io::Result<(Self, File)> {
        let file = memfd::create()?;
        file.set_len(PAGE.get() as u64)?;
        Ok((Self::open(file.as_fd())?, file.into()))
    }

    /// Shares the one that another process has made. A child of this process has no part in it.
    pub(crate) fn open(file: BorrowedFd<'_>) -> io::Result<Self> {
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: the kernel chooses an address where nothing is.
        let page = unsafe { mmap(None, PAGE, protection, MapFlags::MAP_SHARED, file, 0) }?;
        let board = Self { page: page.cast() };
        // SAFETY: the range is that of the mapping just made.
        unsafe { madvise(page, PAGE.get(), MmapAdvise::MADV_DONTFORK) }?;
        Ok(board)
    }

    /// Returns one of the numbers.
    pub(crate) fn get(&self, index: usize) -> Option<&Number> {
        self.numbers().get(index)
    }

    fn numbers(&self) -> &[Number] {
        // SAFETY: the mapping is as long as that, aligned as a page is, and lives as long as this does; every bit pattern is a number.
        unsafe { std::slice::from_raw_parts(self.page.as_ptr(), Self::LENGTH) }
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nothing borrows from it any more. It cannot fail for a mapping that exists.
        let _ = unsafe { munmap(self.page.cast(), PAGE.get()) };
    }
}
