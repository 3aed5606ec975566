//! Memory for numbers that arrive as bytes. The kernel fills it in place, and it then becomes the
//! vector that it was made for.
//!
//! It is allocated as bytes arrive, so a length that was only announced takes no memory. Large
//! amounts are allocated in large pages, where there are any: the kernel's work to provide the
//! pages is most of the cost.

use super::{errno::ENOMEM, fd::BorrowedFd, memfd, pages, socket};
use bytemuck::Pod;
use std::{fs::File, io, mem::MaybeUninit};

/// The size of a number in bytes, which is also its alignment.
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

    /// Returns the width whose base-2 logarithm this is.
    pub(crate) fn from_log2(log2: u8) -> Option<Self> {
        Self::ALL.get(usize::from(log2)).copied()
    }

    /// Returns the base-2 logarithm of the width.
    pub(crate) fn log2(self) -> u8 {
        self as u8
    }

    /// Returns the width of `P`. Panics if no number has such a width.
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

/// A vector of numbers of one width that is being filled.
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

/// How many bytes are allocated before the first one arrives. Pages that no byte reaches are never
/// touched.
const FIRST: usize = 64 << 20;

/// The most bytes that one call reads: these are taken away while more arrive.
const AT_ONCE: usize = 1 << 20;

impl Segment {
    /// Returns an empty segment for `length` bytes of numbers. Returns `None` if the bytes do not
    /// make whole numbers of this width.
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

    /// Returns a full segment with a copy of these bytes.
    pub(crate) fn copied(width: Width, bytes: &[u8]) -> io::Result<Self> {
        let mut segment = Self::new(width, bytes.len()).ok_or(io::ErrorKind::InvalidInput)?;
        while !segment.is_full() {
            segment.copy(&bytes[segment.filled..])?;
        }
        Ok(segment)
    }

    /// Copies some more bytes. Returns how many.
    pub(crate) fn copy(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.fill(|room| Ok(write(room, bytes)))
    }

    /// Returns how many bytes the segment has when all have arrived.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// Whether all bytes have arrived.
    pub(crate) fn is_full(&self) -> bool {
        self.filled == self.length
    }

    /// Receives some more bytes. Returns how many; zero is the end. Never blocks: fails with
    /// `EAGAIN` if nothing is there.
    ///
    /// Descriptors that arrive with the bytes are closed.
    pub(crate) fn receive(&mut self, from: BorrowedFd<'_>) -> io::Result<usize> {
        self.fill(|room| socket::try_receive_into(from, room))
    }

    /// Reads some more bytes. Returns how many; zero is the end.
    pub(crate) fn read(&mut self, from: &File) -> io::Result<usize> {
        self.fill(|room| memfd::read_into(from, room))
    }

    /// Makes room and calls `fill` to write to it. `fill` returns how many bytes it has written,
    /// from the first on.
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

    /// Returns the bytes. Returns `None` if they are of another width, or if some have not arrived.
    pub(crate) fn bytes(&self, width: Width) -> Option<&[u8]> {
        let is_of_width = match self.numbers {
            Numbers::One(_) => width == Width::One,
            Numbers::Two(_) => width == Width::Two,
            Numbers::Four(_) => width == Width::Four,
            Numbers::Eight(_) => width == Width::Eight,
            Numbers::Sixteen(_) => width == Width::Sixteen,
        };
        let is_whole = is_of_width && self.is_full();
        is_whole.then(|| each!(&self.numbers, numbers => bytemuck::cast_slice(numbers)))
    }

    /// Returns the numbers. Returns `None` if they are of another width, or if some have not
    /// arrived.
    pub(crate) fn into_vec<P: Pod>(self) -> Option<Vec<P>> {
        if !self.is_full() {
            return None;
        }
        each!(self.numbers, numbers => bytemuck::allocation::try_cast_vec(numbers).ok())
    }
}

/// Calls `fill` to write bytes after the `filled` ones, up to `length`. Returns how many it wrote.
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
            .map_err(|_| io::Error::from_raw_os_error(ENOMEM))?;
        pages::ask_for_large(numbers);
    }
    let begun = filled - numbers.len() * size_of::<N>();
    let room = &mut bytes_of(numbers.spare_capacity_mut())[begun..];
    let most = room.len().min(length - filled).min(AT_ONCE);
    let count = fill(&mut room[..most])?;
    let whole = (filled + count) / size_of::<N>();
    // SAFETY: `fill` has written `count` bytes, so this many numbers have all their bytes. They are
    // within the capacity, and any bytes make a number.
    unsafe { numbers.set_len(whole) };
    Ok(count)
}

/// Copies as many bytes as there is room for. Returns how many.
fn write(room: &mut [MaybeUninit<u8>], bytes: &[u8]) -> usize {
    let count = room.len().min(bytes.len());
    let to = room.as_mut_ptr().cast::<u8>();
    // SAFETY: both have `count` bytes, and the exclusively borrowed room does not overlap the
    // bytes.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, count) };
    count
}

/// Returns the bytes of numbers that need not be initialised.
fn bytes_of<N: Pod>(numbers: &mut [MaybeUninit<N>]) -> &mut [MaybeUninit<u8>] {
    let (start, length) = (numbers.as_mut_ptr().cast(), size_of_val(numbers));
    // SAFETY: it is the same memory, borrowed for the same time. Nothing is claimed of its bytes
    // but that they exist.
    unsafe { std::slice::from_raw_parts_mut(start, length) }
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
            // As many bytes as arrived, which may be fewer than there is room for.
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
