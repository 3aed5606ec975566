//! Numbers that two processes share in one page of memory. When one of them forks, the kernel
//! writes the id of the new process there. The other process can read that id, whatever happens to
//! the first.

use super::memfd;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, munmap};
use std::{
    io,
    num::NonZero,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    ptr::NonNull,
    sync::atomic::{AtomicI32, Ordering},
};

/// One number: zero, the id of a process, or the negative errno of a fork that failed.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Number(AtomicI32);

impl Number {
    /// Returns the id that the kernel wrote, or the error that was left instead. Returns `None`
    /// while the number is zero.
    pub(crate) fn outcome(&self) -> Option<io::Result<u32>> {
        match self.0.load(Ordering::Acquire) {
            0 => None,
            id if id > 0 => Some(Ok(id.cast_unsigned())),
            errno => Some(Err(io::Error::from_raw_os_error(errno.wrapping_neg()))),
        }
    }

    /// Stores the errno of a fork that failed.
    pub(crate) fn leave_error(&self, error: &io::Error) {
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        self.0.store(errno.wrapping_neg(), Ordering::Release);
    }

    /// Sets the number to zero again.
    pub(crate) fn clear(&self) {
        self.0.store(0, Ordering::Release);
    }

    /// Returns the address that the kernel writes to.
    pub(super) fn as_ptr(&self) -> *mut libc::pid_t {
        self.0.as_ptr()
    }
}

/// One page of memory that several processes write to. It holds numbers, which begin as zero.
#[derive(Debug)]
pub(crate) struct Board {
    page: NonNull<Number>,
}

// SAFETY: the page is a slice of atomics that lives as long as this does.
unsafe impl Send for Board {}
// SAFETY: as above.
unsafe impl Sync for Board {}

/// The size of a [`Board`] in bytes.
const PAGE: NonZero<usize> = NonZero::new(4096).expect("it is not zero");

impl Board {
    /// How many numbers a board has.
    pub(crate) const LENGTH: usize = PAGE.get() / size_of::<Number>();

    /// Creates a board, and the file by which another process shares it.
    pub(crate) fn create() -> io::Result<(Self, OwnedFd)> {
        let file = memfd::create()?;
        file.set_len(PAGE.get() as u64)?;
        Ok((Self::open(file.as_fd())?, file.into()))
    }

    /// Shares the board that another process created. Children of this process do not inherit it.
    pub(crate) fn open(file: BorrowedFd<'_>) -> io::Result<Self> {
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: the kernel chooses an address where nothing is mapped.
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
        // SAFETY: the mapping has this length, is aligned as a page is, and lives as long as this
        // does. Every bit pattern is a number.
        unsafe { std::slice::from_raw_parts(self.page.as_ptr(), Self::LENGTH) }
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nothing borrows from it any more. The call cannot fail
        // for a mapping that exists.
        let _ = unsafe { munmap(self.page.cast(), PAGE.get()) };
    }
}
