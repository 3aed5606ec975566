//! Memory that several processes have mapped: [mmap(2)](https://man7.org/linux/man-pages/man2/mmap.2.html) of a file without a name
//! and of a length that is fixed for good.
//!
//! Whatever the others do, no access to it is a fault: they cannot shorten the file, and what they unmap is theirs alone. What they
//! write can come at any time, so that safe code gets at it by atomics only, or by copies made through atomics.

use super::{
    memfd,
    plain::{Atomic, Plain},
};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, munmap};
use std::{
    fs::File,
    io,
    mem::MaybeUninit,
    num::NonZero,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    ptr::NonNull,
    sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering},
};
use zerocopy::Immutable;

/// Memory shared with other processes, and the descriptor by which they share it.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    length: usize,
    /// Whether nobody can write to it, this process included.
    frozen: bool,
    /// How many things of the system's point into it, and have to be able to.
    pins: AtomicUsize,
    file: File,
}

// SAFETY: the memory is the mapping's own until it is dropped, and is reached by atomics, or as the other files of `sys` answer for.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Makes `length` bytes of zeros. Pages take memory when they are first written.
    pub(crate) fn create(length: usize) -> io::Result<Self> {
        Self::map(memfd::create_sealed(length as u64)?, length, WRITABLE)
    }

    /// Shares what another process has made, if it is of at least this length, and cannot become shorter.
    pub(crate) fn open(fd: OwnedFd, least: usize) -> io::Result<Self> {
        Self::open_for(fd, least, WRITABLE)
    }

    /// Shares, to be read, what nobody can write to any more.
    pub(crate) fn open_frozen(fd: OwnedFd, least: usize) -> io::Result<Self> {
        if !memfd::is_frozen(&fd)? {
            let what = "the memory is not frozen: it could be written to";
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Self::open_for(fd, least, ProtFlags::PROT_READ)
    }

    fn open_for(fd: OwnedFd, least: usize, protection: ProtFlags) -> io::Result<Self> {
        let (file, length) = memfd::check_sealed(fd)?;
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::InvalidData)?;
        if length < least {
            let what = format!("the memory has {length} bytes, and not {least}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Self::map(file, length, protection)
    }

    fn map(file: File, length: usize, protection: ProtFlags) -> io::Result<Self> {
        // There is no mapping of nothing, and no access to it.
        let mut start = NonNull::<u128>::dangling().cast();
        if let Some(length) = NonZero::new(length) {
            // SAFETY: the kernel chooses an address where nothing is.
            let mapped = unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, &file, 0) };
            start = mapped?.cast();
        }
        let mapping = Self {
            start,
            length,
            frozen: protection != WRITABLE,
            pins: AtomicUsize::new(0),
            file,
        };
        if length >= HUGE && protection == WRITABLE {
            // It is advice: a kernel that has no large pages for this has small ones.
            // SAFETY: the range is that of the mapping just made.
            let _ = unsafe { madvise(start.cast(), length, MmapAdvise::MADV_HUGEPAGE) };
        }
        Ok(mapping)
    }

    /// Forbids everybody to write to it, for good. Fails with `EBUSY` while it is mapped elsewhere so that it could be written to.
    pub(crate) fn freeze(self) -> io::Result<Self> {
        let (file, length) = (self.file.try_clone()?, self.length);
        drop(self);
        memfd::forbid_writing(&file)?;
        Self::map(file, length, ProtFlags::PROT_READ)
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// The address of what lies `offset` bytes into it. Nothing may be done with it that is a data race with what others do.
    ///
    /// # Panics
    ///
    /// When `count` values do not fit there.
    pub(crate) fn place<T>(&self, offset: usize, count: usize) -> NonNull<T> {
        let end = count
            .checked_mul(size_of::<T>())
            .and_then(|size| size.checked_add(offset));
        assert!(
            end.is_some_and(|end| end <= self.length),
            "it lies in the memory"
        );
        assert!(offset.is_multiple_of(align_of::<T>()) && align_of::<T>() <= PAGE);
        if size_of::<T>() * count == 0 {
            return NonNull::dangling();
        }
        // SAFETY: the offset is within the mapping, as was just seen.
        unsafe { self.start.add(offset) }.cast()
    }

    /// The atomics that lie `offset` bytes into it.
    pub(crate) fn get<T: Atomic>(&self, offset: usize) -> &T {
        // SAFETY: the place is aligned, in the mapping and as long as that; every pattern of bits is a value, and every change of it
        // is one of atomics, for as long as the mapping is borrowed.
        unsafe { self.place(offset, 1).as_ref() }
    }

    /// As many atomics as that, from `offset` on.
    pub(crate) fn slice<T: Atomic>(&self, offset: usize, count: usize) -> &[T] {
        let place = self.place::<T>(offset, count);
        // SAFETY: as for `get`.
        unsafe { std::slice::from_raw_parts(place.as_ptr(), count) }
    }

    /// What lies in memory that nobody can write to.
    ///
    /// # Panics
    ///
    /// When it is not such memory.
    pub(crate) fn frozen<T: Plain + Immutable + Sync>(&self, count: usize) -> &[T] {
        assert!(self.frozen, "it was frozen when it was mapped");
        let place = self.place::<T>(0, count);
        // SAFETY: the place is aligned, in the mapping and as long as that; every pattern of bits is a value, and nobody can change it:
        // the kernel has seen that no writable mapping was left, and makes no other.
        unsafe { std::slice::from_raw_parts(place.as_ptr(), count) }
    }

    /// Copies what lies there. If it is written to meanwhile, the copy has some of the old bytes and some of the new.
    pub(crate) fn load<T: Plain>(&self, offset: usize, to: &mut [T]) {
        let (start, count) = (to.as_mut_ptr().cast(), to.len());
        // SAFETY: it is the same memory, borrowed exclusively for as long, and `load_uninit` writes nothing but initialised values
        // there.
        let to = unsafe { std::slice::from_raw_parts_mut(start, count) };
        self.load_uninit::<T>(offset, to);
    }

    /// As [`load`](Self::load), into places that need not hold values. All of them do afterwards.
    fn load_uninit<T: Plain>(&self, offset: usize, to: &mut [MaybeUninit<T>]) {
        let from = self.place::<T>(offset, to.len()).cast::<u8>();
        // SAFETY: `place` has seen that as many bytes lie there. They stay while the mapping is borrowed, and other accesses to them
        // are atomic, or those of a holder of a lock, who is alone.
        unsafe { copy_out(from.as_ptr(), to.as_mut_ptr().cast(), size_of_val(to)) };
    }

    /// Writes values there. Who reads meanwhile gets some of the old bytes and some of the new.
    ///
    /// What is read through the reference cannot change meanwhile: there are no atomics in it.
    ///
    /// # Panics
    ///
    /// When nobody can write to it.
    pub(crate) fn store<T: Plain + Immutable>(&self, offset: usize, from: &[T]) {
        assert!(!self.frozen, "it is not frozen");
        let to = self.place::<T>(offset, from.len()).cast::<u8>();
        // SAFETY: as many bytes are in the slice, initialised since `T` has no padding. For the other side see `load_uninit`.
        unsafe { copy_in(from.as_ptr().cast(), to.as_ptr(), size_of_val(from)) };
    }

    /// Writes one value there, which may have atomics in it: nobody else refers to it.
    ///
    /// # Panics
    ///
    /// When nobody can write to it.
    #[allow(clippy::needless_pass_by_value, reason = "it becomes the memory's")]
    pub(crate) fn store_one<T: Plain>(&self, offset: usize, value: T) {
        assert!(!self.frozen, "it is not frozen");
        let to = self.place::<T>(offset, 1).cast::<u8>();
        let from = (&raw const value).cast::<u8>();
        // SAFETY: as many bytes has the value, which is this function's own. For the rest see `store`.
        unsafe { copy_in(from, to.as_ptr(), size_of::<T>()) };
    }

    /// Copies one value.
    pub(crate) fn load_one<T: Plain>(&self, offset: usize) -> T {
        let mut value = T::new_zeroed();
        self.load(offset, std::slice::from_mut(&mut value));
        value
    }

    /// Appends copies of `count` values.
    pub(crate) fn append_to<T: Plain>(&self, offset: usize, count: usize, to: &mut Vec<T>) {
        to.reserve(count);
        let length = to.len();
        self.load_uninit(offset, &mut to.spare_capacity_mut()[..count]);
        // SAFETY: as many values have just been written there.
        unsafe { to.set_len(length + count) };
    }

    /// Keeps the memory mapped from now on, until it is unpinned as often, though the mapping be dropped.
    pub(super) fn pin(&self) {
        self.pins.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn unpin(&self) {
        self.pins.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Copies bytes that others may write to meanwhile.
///
/// # Safety
///
/// Both places have that many bytes. Whatever else accesses the first during the call does so by atomics, and nothing else accesses the
/// second.
unsafe fn copy_out(from: *mut u8, to: *mut u8, bytes: usize) {
    let mut at = 0;
    while at < bytes {
        let (from, to) = (from.wrapping_add(at), to.wrapping_add(at));
        if bytes - at >= WORD && from.addr().is_multiple_of(WORD) {
            // SAFETY: eight aligned bytes are left of the first place.
            let word = unsafe { AtomicU64::from_ptr(from.cast()) }.load(Ordering::Relaxed);
            // SAFETY: as many bytes are left of the second place.
            unsafe { to.cast::<u64>().write_unaligned(word) };
            at += WORD;
        } else {
            // SAFETY: a byte is left of the first place.
            let byte = unsafe { AtomicU8::from_ptr(from) }.load(Ordering::Relaxed);
            // SAFETY: a byte is left of the second place.
            unsafe { to.write(byte) };
            at += 1;
        }
    }
}

/// Copies bytes to where others may read and write meanwhile.
///
/// # Safety
///
/// Both places have that many bytes. Those of the first are initialised, and nothing writes to them during the call. Whatever else
/// accesses the second does so by atomics.
unsafe fn copy_in(from: *const u8, to: *mut u8, bytes: usize) {
    let mut at = 0;
    while at < bytes {
        let (from, to) = (from.wrapping_add(at), to.wrapping_add(at));
        if bytes - at >= WORD && to.addr().is_multiple_of(WORD) {
            // SAFETY: as many bytes are left of the first place.
            let word = unsafe { from.cast::<u64>().read_unaligned() };
            // SAFETY: eight aligned bytes are left of the second place.
            unsafe { AtomicU64::from_ptr(to.cast()) }.store(word, Ordering::Relaxed);
            at += WORD;
        } else {
            // SAFETY: a byte is left of the first place.
            let byte = unsafe { from.read() };
            // SAFETY: a byte is left of the second place.
            unsafe { AtomicU8::from_ptr(to) }.store(byte, Ordering::Relaxed);
            at += 1;
        }
    }
}

const WRITABLE: ProtFlags = ProtFlags::PROT_READ.union(ProtFlags::PROT_WRITE);

const WORD: usize = size_of::<u64>();

/// The least that a page can be, and so the most that something can be aligned to.
pub(crate) const PAGE: usize = 4096;

/// From this size on large pages are worth asking for.
const HUGE: usize = 2 << 20;

impl AsFd for Mapping {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.length == 0 || *self.pins.get_mut() > 0 {
            return;
        }
        // SAFETY: the mapping is ours, and nothing borrows from it any more. It cannot fail for a mapping that exists.
        let _ = unsafe { munmap(self.start.cast(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    use super::{Mapping, copy_in, copy_out};
    use std::{
        fs::File,
        mem::MaybeUninit,
        os::fd::AsFd,
        sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    };

    /// Without a system call, so that Miri can run it.
    #[test]
    fn bytes_are_copied_at_every_offset() {
        let shared = [const { AtomicU64::new(0) }; 4];
        let place = shared.as_ptr().cast::<u8>().cast_mut();
        let bytes: Vec<u8> = (1..=32).collect();
        for (offset, length) in (0..16).zip((0..=16).rev()) {
            let place = place.wrapping_add(offset);
            // SAFETY: both have that many bytes from there on, and nothing else uses them.
            unsafe { copy_in(bytes.as_ptr(), place, length) };
            let mut copy = [MaybeUninit::<u8>::uninit(); 32];
            // SAFETY: as above.
            unsafe { copy_out(place, copy.as_mut_ptr().cast(), length) };
            let copy: Vec<u8> = copy[..length]
                .iter()
                // SAFETY: as many bytes have just been written.
                .map(|byte| unsafe { byte.assume_init() })
                .collect();
            assert_eq!(copy, bytes[..length]);
        }
    }

    #[test]
    fn value_with_atomics_is_written_and_vector_is_filled() {
        let mapping = Mapping::create(64).unwrap();
        mapping.store_one(8, [AtomicU32::new(5), AtomicU32::new(6)]);
        let mut values = vec![4_u32];
        mapping.append_to(4, 4, &mut values);
        assert_eq!(values, [4, 0, 5, 6, 0]);
    }

    #[test]
    fn two_mappings_are_of_one_memory() {
        let mapping = Mapping::create(5000).unwrap();
        let fd = mapping.as_fd().try_clone_to_owned().unwrap();
        let other = Mapping::open(fd, 5000).unwrap();
        mapping.get::<AtomicU32>(4096).store(7, Relaxed);
        assert_eq!(other.get::<AtomicU32>(4096).load(Relaxed), 7);
        other.store(3, &[1_u8, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
        let mut bytes = [0_u8; 16];
        mapping.load(2, &mut bytes);
        assert_eq!(bytes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0]);
    }

    #[test]
    fn what_could_become_shorter_is_refused() {
        let file = super::memfd::create().unwrap();
        file.set_len(4096).unwrap();
        assert!(Mapping::open(file.into(), 4096).is_err());
        let mapping = Mapping::create(100).unwrap();
        let fd = mapping.as_fd().try_clone_to_owned().unwrap();
        assert!(File::from(fd.try_clone().unwrap()).set_len(0).is_err());
        assert!(Mapping::open(fd, 101).is_err());
    }

    #[test]
    fn frozen_memory_is_written_by_nobody() {
        let mapping = Mapping::create(8).unwrap();
        mapping.store(0, &[3_u64]);
        let writer = Mapping::open(mapping.as_fd().try_clone_to_owned().unwrap(), 8).unwrap();
        let fd = mapping.as_fd().try_clone_to_owned().unwrap();
        assert!(Mapping::open_frozen(fd.try_clone().unwrap(), 8).is_err());
        assert_eq!(
            mapping.freeze().unwrap_err().raw_os_error(),
            Some(libc::EBUSY)
        );
        let frozen = writer.freeze().unwrap();
        assert_eq!(frozen.frozen::<u64>(1), [3]);
        assert!(Mapping::open(fd.try_clone().unwrap(), 8).is_err());
        assert!(Mapping::open_frozen(fd, 8).is_ok());
    }

    #[test]
    fn nothing_is_a_length_too() {
        let mapping = Mapping::create(0).unwrap();
        let fd = mapping.as_fd().try_clone_to_owned().unwrap();
        assert!(
            Mapping::open(fd, 0)
                .unwrap()
                .slice::<AtomicU32>(0, 0)
                .is_empty()
        );
    }
}
