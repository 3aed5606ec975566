//! Memory for numbers that come as bytes: filled by the kernel where it is, and then the vector it was made for.
//!
//! It is asked for as bytes come, so that a length that was only announced takes none; and in huge pages
//! ([madvise(2)](https://man7.org/linux/man-pages/man2/madvise.2.html)), since most of what it costs is to be given the pages.

use super::socket;
use bytemuck::Pod;
use nix::{
    errno::Errno,
    sys::mman::{MmapAdvise, madvise},
    unistd::{SysconfVar, sysconf},
};
use std::{
    fs::File,
    io,
    mem::MaybeUninit,
    os::fd::{AsRawFd, BorrowedFd},
    ptr::NonNull,
};

/// How many bytes a number has, which is also how it is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    One,
    Two,
    Four,
    Eight,
    Sixteen,
}

impl Width {
    const ALL: [Self; 5] = [Self::One, Self::Two, Self::Four, Self::Eight, Self::Sixteen];

    /// The width of a number whose logarithm this is.
    pub(crate) fn from_log2(log2: u8) -> Option<Self> {
        Self::ALL.get(usize::from(log2)).copied()
    }

    /// The logarithm of the width.
    pub(crate) fn log2(self) -> u8 {
        self as u8
    }

    /// The width of `P`.
    pub(crate) const fn of<P: Pod>() -> Self {
        assert!(size_of::<P>() == align_of::<P>());
        match size_of::<P>() {
            1 => Self::One,
            2 => Self::Two,
            4 => Self::Four,
            8 => Self::Eight,
            16 => Self::Sixteen,
            _ => panic!("no number is of such a width"),
        }
    }
}

/// A vector of numbers of some width, being filled.
#[derive(Debug)]
pub(crate) struct Segment {
    numbers: Numbers,
    filled: usize,
    length: usize,
}

#[derive(Debug)]
enum Numbers {
    One(Vec<u8>),
    Two(Vec<u16>),
    Four(Vec<u32>),
    Eight(Vec<u64>),
    Sixteen(Vec<u128>),
}

macro_rules! each {
    ($numbers:expr, $vec:ident => $act:expr) => {
        match $numbers {
            Numbers::One($vec) => $act,
            Numbers::Two($vec) => $act,
            Numbers::Four($vec) => $act,
            Numbers::Eight($vec) => $act,
            Numbers::Sixteen($vec) => $act,
        }
    };
}

/// How much room is made before a single byte has come. Nothing is touched of what does not come.
const FIRST: usize = 64 << 20;

/// How much is read in one call: what has come is taken away while more is coming.
const AT_ONCE: usize = 1 << 20;

impl Segment {
    /// Room for so many bytes that make numbers of this width; none if they do not.
    pub(crate) fn new(width: Width, length: usize) -> Option<Self> {
        let numbers = match width {
            Width::One => Numbers::One(Vec::new()),
            Width::Two => Numbers::Two(Vec::new()),
            Width::Four => Numbers::Four(Vec::new()),
            Width::Eight => Numbers::Eight(Vec::new()),
            Width::Sixteen => Numbers::Sixteen(Vec::new()),
        };
        let whole = length.is_multiple_of(1 << width.log2());
        whole.then_some(Self {
            numbers,
            filled: 0,
            length,
        })
    }

    /// A copy of numbers that are here.
    pub(crate) fn copied(width: Width, bytes: &[u8]) -> io::Result<Self> {
        let mut segment = Self::new(width, bytes.len()).ok_or(io::ErrorKind::InvalidInput)?;
        while !segment.is_full() {
            let rest = &bytes[segment.filled..];
            segment.fill(|room| Ok(write(room, rest)))?;
        }
        Ok(segment)
    }

    /// How many bytes it has when all have come.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// Whether all has come.
    pub(crate) fn is_full(&self) -> bool {
        self.filled == self.length
    }

    /// Receives some more; returns how many bytes came, none being the end. Never waits: nothing there is `EAGAIN`.
    ///
    /// Descriptors beside the bytes are closed.
    pub(crate) fn receive(&mut self, from: BorrowedFd<'_>) -> io::Result<usize> {
        self.fill(|room| socket::try_receive_into(from, room))
    }

    /// Reads some more; returns how many bytes came, none being the end.
    pub(crate) fn read(&mut self, from: &File) -> io::Result<usize> {
        self.fill(|room| {
            loop {
                // SAFETY: the room is ours to write to, and as long as is said.
                let read =
                    unsafe { libc::read(from.as_raw_fd(), room.as_mut_ptr().cast(), room.len()) };
                match Errno::result(read) {
                    Err(Errno::EINTR) => {}
                    result => break Ok(result?.cast_unsigned()),
                }
            }
        })
    }

    /// Makes room and has it filled by `fill`, which returns how many bytes it has written, from the first on.
    fn fill(
        &mut self,
        fill: impl FnOnce(&mut [MaybeUninit<u8>]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let (filled, length) = (self.filled, self.length);
        let count =
            each!(&mut self.numbers, numbers => fill_some(numbers, (filled, length), fill))?;
        self.filled += count;
        Ok(count)
    }

    #[cfg(test)]
    pub(crate) fn address(&self) -> usize {
        each!(&self.numbers, numbers => numbers.as_ptr().addr())
    }

    /// Returns the numbers; none if they are of another width, or have not come all.
    pub(crate) fn into_vec<P: Pod>(self) -> Option<Vec<P>> {
        if !self.is_full() {
            return None;
        }
        each!(self.numbers, numbers => bytemuck::allocation::try_cast_vec(numbers).ok())
    }
}

/// Has the bytes after those that are `filled` of `length` written; returns how many were.
fn fill_some<N: Pod>(
    numbers: &mut Vec<N>,
    (filled, length): (usize, usize),
    fill: impl FnOnce(&mut [MaybeUninit<u8>]) -> io::Result<usize>,
) -> io::Result<usize> {
    if filled == numbers.capacity() * size_of::<N>() {
        let more = FIRST.max(filled).min(length - filled);
        let more = more.div_ceil(size_of::<N>());
        numbers
            .try_reserve_exact(more)
            .map_err(|_| io::Error::from(Errno::ENOMEM))?;
        use_huge_pages(numbers);
    }
    let begun = filled - numbers.len() * size_of::<N>();
    let room = &mut bytes_of(numbers.spare_capacity_mut())[begun..];
    let most = room.len().min(length - filled).min(AT_ONCE);
    let count = fill(&mut room[..most])?;
    let whole = (filled + count) / size_of::<N>();
    // SAFETY: so many numbers have all their bytes, which are within the capacity, and any bytes make a number.
    unsafe { numbers.set_len(whole) };
    Ok(count)
}

/// Copies as many bytes as there is room for; returns how many.
fn write(room: &mut [MaybeUninit<u8>], bytes: &[u8]) -> usize {
    let count = room.len().min(bytes.len());
    let to = room.as_mut_ptr().cast::<u8>();
    // SAFETY: both are as long as that, and what is borrowed exclusively is not the other.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, count) };
    count
}

/// The bytes of numbers that need not be there yet.
fn bytes_of<N: Pod>(numbers: &mut [MaybeUninit<N>]) -> &mut [MaybeUninit<u8>] {
    let (start, length) = (numbers.as_mut_ptr().cast(), size_of_val(numbers));
    // SAFETY: it is the same memory, borrowed for as long, of which nothing is said but that it is there.
    unsafe { std::slice::from_raw_parts_mut(start, length) }
}

/// Asks for huge pages where there is room for them.
///
/// It is whole pages that are asked for, the first and the last included: memory of which a part is treated in another way is not moved
/// by the kernel when more is needed, but copied by the allocator.
fn use_huge_pages<N>(numbers: &mut Vec<N>) {
    const WORTH_IT: usize = 4 << 20;
    let length = numbers.capacity() * size_of::<N>();
    if length < WORTH_IT {
        return;
    }
    let Ok(Some(Ok(page))) = sysconf(SysconfVar::PAGE_SIZE).map(|size| size.map(usize::try_from))
    else {
        return;
    };
    let start = numbers.as_mut_ptr().cast::<libc::c_void>();
    let before = start.addr() % page;
    let length = (before + length).next_multiple_of(page);
    if let Some(start) = NonNull::new(start.wrapping_byte_sub(before)) {
        // SAFETY: the pages are there, since each has some of the numbers, and the advice changes nothing of what is in them. A kernel
        // without huge pages refuses, and does as it always does.
        let _ = unsafe { madvise(start, length, MmapAdvise::MADV_HUGEPAGE) };
    }
}

/// Copies bytes into memory of their own.
pub(crate) fn copy(bytes: &[u8]) -> io::Result<Vec<u8>> {
    Segment::copied(Width::One, bytes)?
        .into_vec()
        .ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

#[cfg(test)]
mod tests {
    use super::{FIRST, Segment, Width, write};
    use crate::sys::{memfd, socket};
    use std::{
        fs::File,
        io::{Seek, Write},
        os::{fd::AsFd, unix::net::UnixStream},
    };

    #[test]
    fn numbers_arrive_in_odd_pieces() {
        let numbers: Vec<u128> = (0..1000).map(|number| number << 64 | 7).collect();
        let bytes: &[u8] = bytemuck::cast_slice(&numbers);
        let (here, there) = socket::pair().unwrap();
        let mut there = UnixStream::from(there);
        let mut segment = Segment::new(Width::Sixteen, bytes.len()).unwrap();
        for piece in bytes.chunks(37) {
            assert!(!segment.is_full());
            there.write_all(piece).unwrap();
            assert_eq!(segment.receive(here.as_fd()).unwrap(), piece.len());
        }
        assert!(segment.is_full());
        assert_eq!(segment.into_vec::<u128>().unwrap(), numbers);
    }

    #[test]
    fn numbers_are_read_from_a_file() {
        let mut file = memfd::create().unwrap();
        file.write_all(&[1, 0, 2, 0, 9]).unwrap();
        let mut file = File::from(file);
        file.rewind().unwrap();
        let mut segment = Segment::new(Width::Two, 4).unwrap();
        while !segment.is_full() {
            segment.read(&file).unwrap();
        }
        assert_eq!(segment.into_vec::<i16>().unwrap(), [1, 2]);
    }

    #[test]
    fn other_widths_and_missing_bytes_are_refused() {
        assert!(Segment::new(Width::Eight, 12).is_none());
        assert!(
            Segment::new(Width::Eight, 16)
                .unwrap()
                .into_vec::<u64>()
                .is_none()
        );
        let segment = || Segment::copied(Width::Four, &[0; 8]).unwrap();
        assert!(segment().into_vec::<u64>().is_none());
        assert!(segment().into_vec::<u8>().is_none());
        assert_eq!(segment().into_vec::<f32>().unwrap(), [0.0, 0.0]);
        assert!(
            Segment::new(Width::One, 0)
                .unwrap()
                .into_vec::<u8>()
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn more_than_is_believed_at_first_arrives() {
        let mut bytes = vec![7; 3 * FIRST + 5];
        (0..=9)
            .zip(bytes.iter_mut().step_by(FIRST / 3 + 1))
            .for_each(|(mark, byte)| *byte = mark);
        let copy = super::copy(&bytes).unwrap();
        assert!(copy == bytes);
        let mut rest = &bytes[..];
        let mut segment = Segment::new(Width::One, bytes.len()).unwrap();
        while !segment.is_full() {
            // As much as came, which need not be all there is room for.
            let count = segment
                .fill(|room| Ok(write(room, &rest[..rest.len().min(1_000_003)])))
                .unwrap();
            assert!(count > 0);
            rest = &rest[count..];
        }
        assert!(segment.into_vec::<u8>().unwrap() == bytes);
    }

    #[test]
    fn announced_length_takes_no_memory() {
        let (here, there) = socket::pair().unwrap();
        UnixStream::from(there).write_all(&[7; 8]).unwrap();
        let mut segment = Segment::new(Width::One, 1 << 60).unwrap();
        assert_eq!(segment.receive(here.as_fd()).unwrap(), 8);
        assert_eq!(segment.receive(here.as_fd()).unwrap(), 0);
    }
}
