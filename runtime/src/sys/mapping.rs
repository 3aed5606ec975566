//! Memory that several processes have mapped:
//! [mmap(2)](https://man7.org/linux/man-pages/man2/mmap.2.html) of a file that has no name and a
//! fixed length.
//!
//! No access to it can fault, whatever the other processes do: they cannot shorten the file, and
//! they can unmap only their own mappings. They can write to it at any time. So safe code reaches
//! the memory only through atomics, or through copies that are made with atomics.

use super::{
    memfd,
    plain::{Atomic, Immutable, Plain},
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

/// Memory that is shared with other processes, and the descriptor through which they share it.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    length: usize,
    /// Whether nobody can write to it, this process included.
    frozen: bool,
    /// How many pointers into the memory the C library and the kernel hold. It must stay mapped
    /// while there are any.
    pins: AtomicUsize,
    file: File,
}

// SAFETY: the mapping owns the memory until it is dropped. The memory is reached only through
// atomics, or in the ways that the other files of `sys` justify.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Creates `length` bytes of zeros. A page takes memory when it is first written.
    pub(crate) fn create(length: usize) -> io::Result<Self> {
        Self::map(memfd::create_sealed(length as u64)?, length, WRITABLE)
    }

    /// Maps memory that another process created. Fails if it has fewer than `least` bytes, or if
    /// its length could change.
    pub(crate) fn open(fd: OwnedFd, least: usize) -> io::Result<Self> {
        Self::open_for(fd, least, WRITABLE)
    }

    /// Maps, for reading, memory that nobody can write to any more.
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
        // mmap(2) refuses an empty mapping, and no byte of one is ever accessed.
        let mut start = NonNull::<u128>::dangling().cast();
        if let Some(length) = NonZero::new(length) {
            // SAFETY: the kernel chooses an address where nothing is mapped.
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
            // This is advice: a kernel that has no large pages for this memory uses small ones.
            // SAFETY: the range is that of the mapping just made.
            let _ = unsafe { madvise(start.cast(), length, MmapAdvise::MADV_HUGEPAGE) };
        }
        Ok(mapping)
    }

    /// Forbids all writing to the memory, for good, and maps it again for reading. Fails with
    /// `EBUSY` while it is also mapped elsewhere for writing.
    pub(crate) fn freeze(self) -> io::Result<Self> {
        let (file, length) = (self.file.try_clone()?, self.length);
        drop(self);
        memfd::forbid_writing(&file)?;
        Self::map(file, length, ProtFlags::PROT_READ)
    }

    /// Returns the length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Returns the address of `count` values that lie `offset` bytes into the memory. The caller
    /// must not use it in a way that is a data race with other processes.
    ///
    /// # Panics
    ///
    /// Panics if the values do not fit there, or if they would not be aligned.
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
        // SAFETY: the offset is within the mapping, as was just checked.
        unsafe { self.start.add(offset) }.cast()
    }

    /// Returns the atomics that lie `offset` bytes into the memory.
    pub(crate) fn get<T: Atomic>(&self, offset: usize) -> &T {
        // SAFETY: `place` has checked that the value is aligned and lies in the mapping. Every bit
        // pattern is a valid value. For as long as the mapping is borrowed, it stays mapped, and
        // every change of the value is atomic.
        unsafe { self.place(offset, 1).as_ref() }
    }

    /// Returns `count` atomics that lie side by side, from `offset` on.
    pub(crate) fn slice<T: Atomic>(&self, offset: usize, count: usize) -> &[T] {
        let place = self.place::<T>(offset, count);
        // SAFETY: as for `get`.
        unsafe { std::slice::from_raw_parts(place.as_ptr(), count) }
    }

    /// Returns `count` values from the start of memory that nobody can write to.
    ///
    /// # Panics
    ///
    /// Panics if the memory is not frozen, or if the values do not fit.
    pub(crate) fn frozen<T: Plain + Immutable + Sync>(&self, count: usize) -> &[T] {
        assert!(self.frozen, "it was frozen when it was mapped");
        let place = self.place::<T>(0, count);
        // SAFETY: `place` has checked that the values are aligned and lie in the mapping. Every bit
        // pattern is a valid value. Nobody can change them: the kernel has checked that no writable
        // mapping was left, and makes no new one.
        unsafe { std::slice::from_raw_parts(place.as_ptr(), count) }
    }

    /// Copies values from the memory. If another process writes to them meanwhile, the copy has
    /// some of the old bytes and some of the new.
    pub(crate) fn load<T: Plain>(&self, offset: usize, to: &mut [T]) {
        let (start, count) = (to.as_mut_ptr().cast(), to.len());
        // SAFETY: it is the same memory, borrowed exclusively for the same time, and `load_uninit`
        // writes only initialised values to it.
        let to = unsafe { std::slice::from_raw_parts_mut(start, count) };
        self.load_uninit::<T>(offset, to);
    }

    /// Does what [`load`](Self::load) does, with places that need not be initialised. All of them
    /// are initialised afterwards.
    fn load_uninit<T: Plain>(&self, offset: usize, to: &mut [MaybeUninit<T>]) {
        let from = self.place::<T>(offset, to.len()).cast::<u8>();
        // SAFETY: `place` has checked that this many bytes lie there, and they stay mapped while
        // the mapping is borrowed. Other accesses to them are atomic, or made by the holder of a
        // lock, who is alone. The destination has this many bytes too, and is borrowed exclusively.
        unsafe { copy_out(from.as_ptr(), to.as_mut_ptr().cast(), size_of_val(to)) };
    }

    /// Writes values to the memory. A process that reads them meanwhile gets some of the old bytes
    /// and some of the new.
    ///
    /// The values contain no atomics (`Immutable`), so they cannot change while they are read
    /// through the reference.
    ///
    /// # Panics
    ///
    /// Panics if the memory is frozen, or if the values do not fit.
    pub(crate) fn store<T: Plain + Immutable>(&self, offset: usize, from: &[T]) {
        assert!(!self.frozen, "it is not frozen");
        let to = self.place::<T>(offset, from.len()).cast::<u8>();
        // SAFETY: the slice has this many bytes. They are initialised, since `T` has no padding,
        // and do not change meanwhile. For the destination see `load_uninit`.
        unsafe { copy_in(from.as_ptr().cast(), to.as_ptr(), size_of_val(from)) };
    }

    /// Writes one value to the memory. It may contain atomics, since nothing else refers to it.
    ///
    /// # Panics
    ///
    /// Panics if the memory is frozen, or if the value does not fit.
    #[allow(clippy::needless_pass_by_value, reason = "it becomes the memory's")]
    pub(crate) fn store_one<T: Plain>(&self, offset: usize, value: T) {
        assert!(!self.frozen, "it is not frozen");
        let to = self.place::<T>(offset, 1).cast::<u8>();
        let from = (&raw const value).cast::<u8>();
        // SAFETY: the value has this many bytes, and belongs to this function alone. For the rest
        // see `store`.
        unsafe { copy_in(from, to.as_ptr(), size_of::<T>()) };
    }

    /// Copies one value from the memory.
    pub(crate) fn load_one<T: Plain>(&self, offset: usize) -> T {
        let mut value = MaybeUninit::uninit();
        self.load_uninit(offset, std::slice::from_mut(&mut value));
        // SAFETY: it has just been written.
        unsafe { value.assume_init() }
    }

    /// Appends copies of `count` values to a vector.
    pub(crate) fn append_to<T: Plain>(&self, offset: usize, count: usize, to: &mut Vec<T>) {
        to.reserve(count);
        let length = to.len();
        self.load_uninit(offset, &mut to.spare_capacity_mut()[..count]);
        // SAFETY: there is room for the values, and all of them have just been written there.
        unsafe { to.set_len(length + count) };
    }

    /// Makes the memory stay mapped, even if the mapping is dropped before [`unpin`](Self::unpin)
    /// has been called as often. It then stays mapped for good.
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
/// Both places have `bytes` bytes. During the call, everything else that accesses the first place
/// does so atomically, and nothing else accesses the second place.
unsafe fn copy_out(from: *mut u8, to: *mut u8, bytes: usize) {
    let mut at = 0;
    while at < bytes {
        let (from, to) = (from.wrapping_add(at), to.wrapping_add(at));
        if bytes - at >= WORD && from.addr().is_multiple_of(WORD) {
            // SAFETY: eight aligned bytes are left of the first place, and others access them only
            // atomically.
            let word = unsafe { AtomicU64::from_ptr(from.cast()) }.load(Ordering::Relaxed);
            // SAFETY: eight bytes are left of the second place, and nothing else accesses them.
            unsafe { to.cast::<u64>().write_unaligned(word) };
            at += WORD;
        } else {
            // SAFETY: a byte is left of the first place, and others access it only atomically.
            let byte = unsafe { AtomicU8::from_ptr(from) }.load(Ordering::Relaxed);
            // SAFETY: a byte is left of the second place, and nothing else accesses it.
            unsafe { to.write(byte) };
            at += 1;
        }
    }
}

/// Copies bytes to a place that others may read and write meanwhile.
///
/// # Safety
///
/// Both places have `bytes` bytes. Those of the first place are initialised, and nothing writes to
/// them during the call. Everything else that accesses the second place during the call does so
/// atomically.
unsafe fn copy_in(from: *const u8, to: *mut u8, bytes: usize) {
    let mut at = 0;
    while at < bytes {
        let (from, to) = (from.wrapping_add(at), to.wrapping_add(at));
        if bytes - at >= WORD && to.addr().is_multiple_of(WORD) {
            // SAFETY: eight initialised bytes are left of the first place, and nothing writes to
            // them.
            let word = unsafe { from.cast::<u64>().read_unaligned() };
            // SAFETY: eight aligned bytes are left of the second place, and others access them only
            // atomically.
            unsafe { AtomicU64::from_ptr(to.cast()) }.store(word, Ordering::Relaxed);
            at += WORD;
        } else {
            // SAFETY: an initialised byte is left of the first place, and nothing writes to it.
            let byte = unsafe { from.read() };
            // SAFETY: a byte is left of the second place, and others access it only atomically.
            unsafe { AtomicU8::from_ptr(to) }.store(byte, Ordering::Relaxed);
            at += 1;
        }
    }
}

const WRITABLE: ProtFlags = ProtFlags::PROT_READ.union(ProtFlags::PROT_WRITE);

const WORD: usize = size_of::<u64>();

/// The smallest size of a page, and so the largest alignment of a value in a mapping.
pub(crate) const PAGE: usize = 4096;

/// From this many bytes on, large pages are worth asking for.
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
        // SAFETY: the mapping is ours, and nothing borrows from it any more. The call cannot fail
        // for a mapping that exists.
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

    /// Makes no system call, so that Miri can run it.
    #[test]
    fn bytes_are_copied_at_every_offset() {
        let shared = [const { AtomicU64::new(0) }; 4];
        let place = shared.as_ptr().cast::<u8>().cast_mut();
        let bytes: Vec<u8> = (1..=32).collect();
        for (offset, length) in (0..16).zip((0..=16).rev()) {
            let place = place.wrapping_add(offset);
            // SAFETY: both have this many bytes from there on, and nothing else uses them.
            unsafe { copy_in(bytes.as_ptr(), place, length) };
            let mut copy = [MaybeUninit::<u8>::uninit(); 32];
            // SAFETY: as above.
            unsafe { copy_out(place, copy.as_mut_ptr().cast(), length) };
            let copy: Vec<u8> = copy[..length]
                .iter()
                // SAFETY: this many bytes have just been written.
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
