//! Frames: a length, and then the bytes. A length below 2³¹ is four bytes, big-endian. Any other
//! length is four bytes of ones, and then eight bytes, big-endian.

use super::error::{Error, ErrorKind};
use crate::sys::errno;
use std::io;

/// The length of a header: four bytes, or these and eight more.
const SHORT: usize = 4;
const LONG: usize = 12;

/// How much memory is allocated at once for an announced body. More is allocated only as bytes
/// arrive.
const CHUNK: usize = 1 << 20;

/// The header of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    bytes: [u8; LONG],
    length: usize,
}

impl Header {
    /// Makes the header of a frame of `body` bytes.
    pub(super) fn of(body: usize) -> Self {
        let mut bytes = [0; LONG];
        let length = if let Ok(body) = i32::try_from(body) {
            bytes[..SHORT].copy_from_slice(&body.to_be_bytes());
            SHORT
        } else {
            bytes[..SHORT].copy_from_slice(&(-1_i32).to_be_bytes());
            bytes[SHORT..].copy_from_slice(&(body as u64).to_be_bytes());
            LONG
        };
        Self { bytes, length }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Why nothing more can be received. A fault is permanent, because the start of the next frame is
/// unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The peer has ended between two frames.
    Closed,
    /// The peer has ended within a frame.
    Truncated,
    /// The peer announced a frame with this negative length.
    Negative(i32),
    /// The peer announced a frame with this length. The second number is the limit.
    TooLarge(u64, usize),
    /// More descriptors arrived with a frame than this crate ever sends.
    Descriptors,
    /// The error of the system.
    Os(i32),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(errno) => Self::Os(errno),
            None => Self::Os(errno::EIO),
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Closed => Self::new(ErrorKind::Closed, "the peer has closed the connection"),
            Fault::Truncated => Self::new(
                ErrorKind::Truncated,
                "the connection has ended in the middle of a message",
            ),
            Fault::Negative(length) => Self::new(
                ErrorKind::Protocol,
                format!("a message was announced with a length of {length}"),
            ),
            Fault::TooLarge(length, limit) => Self::new(
                ErrorKind::TooLarge,
                format!("a message of {length} bytes was announced where {limit} are the limit"),
            ),
            Fault::Descriptors => Self::new(
                ErrorKind::Protocol,
                "more descriptors came with a message than one can have",
            ),
            Fault::Os(errno) => Self::io(
                "nothing can be received",
                io::Error::from_raw_os_error(errno),
            ),
        }
    }
}

/// Decodes a frame: gives the space for the next bytes, and is told how many bytes arrived.
pub(super) struct Decoder {
    limit: usize,
    header: [u8; LONG],
    part: Part,
    /// All of the allocated room. `part` says how much of it is filled.
    body: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Header { filled: usize },
    Body { filled: usize, length: usize },
    Whole,
}

impl Decoder {
    /// Makes a decoder for frames of at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            header: [0; LONG],
            part: Part::Header { filled: 0 },
            body: Vec::new(),
        }
    }

    /// Returns the most bytes that a frame may have.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Whether a part of a frame has arrived, or all of it.
    pub(super) fn has_begun(&self) -> bool {
        self.part != Part::Header { filled: 0 }
    }

    /// Whether a frame is whole and can be taken.
    pub(super) fn is_whole(&self) -> bool {
        self.part == Part::Whole
    }

    /// Returns the space for the next bytes. It never reaches into the next frame, and is empty
    /// when the frame is whole.
    pub(super) fn space(&mut self) -> Result<&mut [u8], Fault> {
        match self.part {
            Part::Header { filled } => {
                let end = if filled < SHORT { SHORT } else { LONG };
                Ok(&mut self.header[filled..end])
            }
            Part::Body { filled, length } => {
                if filled == self.body.len() {
                    let more = CHUNK.max(filled).min(length - filled);
                    self.body
                        .try_reserve_exact(more)
                        .map_err(|_| Fault::Os(errno::ENOMEM))?;
                    self.body.resize(filled + more, 0);
                }
                Ok(&mut self.body[filled..])
            }
            Part::Whole => Ok(&mut []),
        }
    }

    /// Records that `count` bytes were written to the space.
    pub(super) fn advance(&mut self, count: usize) -> Result<(), Fault> {
        match &mut self.part {
            Part::Header { filled } => {
                *filled += count;
                let (short, long) = self.header.split_at(SHORT);
                let short = i32::from_be_bytes(short.try_into().unwrap_or_default());
                let long = u64::from_be_bytes(long.try_into().unwrap_or_default());
                match (*filled, u64::try_from(short)) {
                    (SHORT, Ok(length)) => self.begin_body(length),
                    (SHORT, Err(_)) if short != -1 => Err(Fault::Negative(short)),
                    (LONG, _) => self.begin_body(long),
                    _ => Ok(()),
                }
            }
            Part::Body { filled, length } => {
                *filled += count;
                if filled == length {
                    self.part = Part::Whole;
                }
                Ok(())
            }
            Part::Whole => Ok(()),
        }
    }

    fn begin_body(&mut self, announced: u64) -> Result<(), Fault> {
        self.part = match usize::try_from(announced) {
            Ok(0) => Part::Whole,
            Ok(length) if length <= self.limit => Part::Body { filled: 0, length },
            _ => return Err(Fault::TooLarge(announced, self.limit)),
        };
        Ok(())
    }

    /// Returns the bytes of the frame, which must be whole.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Takes the bytes of the frame, which must be whole, and begins the next frame.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.part = Part::Header { filled: 0 };
        std::mem::take(&mut self.body)
    }

    /// Begins the next frame. Keeps the memory, but no more of it than most frames need.
    pub(super) fn discard(&mut self) {
        self.part = Part::Header { filled: 0 };
        self.body.clear();
        self.body.shrink_to(CHUNK);
    }
}

#[cfg(test)]
mod tests {
    use super::{CHUNK, Decoder, Fault, Header};

    /// Feeds bytes, at most `at_once` in one step. Returns the bytes after the first whole frame.
    fn feed<'b>(
        decoder: &mut Decoder,
        mut bytes: &'b [u8],
        at_once: usize,
    ) -> Result<&'b [u8], Fault> {
        while !decoder.is_whole() && !bytes.is_empty() {
            let space = decoder.space()?;
            let count = space.len().min(bytes.len()).min(at_once);
            let (now, rest) = bytes.split_at(count);
            space[..count].copy_from_slice(now);
            bytes = rest;
            decoder.advance(count)?;
        }
        Ok(bytes)
    }

    fn frame(body: &[u8]) -> Vec<u8> {
        [Header::of(body.len()).as_bytes(), body].concat()
    }

    #[test]
    fn header_is_that_of_python() {
        assert_eq!(Header::of(0).as_bytes(), [0, 0, 0, 0]);
        assert_eq!(Header::of(258).as_bytes(), [0, 0, 1, 2]);
        assert_eq!(Header::of(0x7fff_ffff).as_bytes(), [0x7f, 0xff, 0xff, 0xff]);
        let long = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0x80, 0, 0, 0];
        assert_eq!(Header::of(0x8000_0000).as_bytes(), long);
    }

    #[test]
    fn frames_come_out_however_they_are_cut() {
        let bodies: [&[u8]; 4] = [b"", b"one", &[7; 300], b""];
        let bytes = bodies.map(frame).concat();
        for at_once in [1, 2, 3, 5, bytes.len()] {
            let mut decoder = Decoder::new(300);
            let mut rest = &bytes[..];
            for body in bodies {
                assert!(!decoder.has_begun());
                rest = feed(&mut decoder, rest, at_once).unwrap();
                assert!(decoder.is_whole());
                assert_eq!(decoder.body(), body);
                assert_eq!(decoder.take(), body);
            }
            assert!(rest.is_empty());
        }
    }

    #[test]
    fn long_header_may_announce_little() {
        let bytes = [&[0xff; 4][..], &3_u64.to_be_bytes(), b"abc"].concat();
        let mut decoder = Decoder::new(3);
        feed(&mut decoder, &bytes, 1).unwrap();
        assert_eq!(decoder.take(), b"abc");
    }

    #[test]
    fn lengths_out_of_bounds_are_refused() {
        let negative = (-2_i32).to_be_bytes();
        let over = 11_u32.to_be_bytes();
        let huge = [&[0xff; 4][..], &u64::MAX.to_be_bytes()].concat();
        for (bytes, fault) in [
            (&negative[..], Fault::Negative(-2)),
            (&over[..], Fault::TooLarge(11, 10)),
            (&huge[..], Fault::TooLarge(u64::MAX, 10)),
        ] {
            assert_eq!(feed(&mut Decoder::new(10), bytes, 1), Err(fault));
        }
    }

    #[test]
    fn room_is_made_as_bytes_arrive() {
        let mut decoder = Decoder::new(usize::MAX);
        let header = [&[0xff; 4][..], &(1_u64 << 62).to_be_bytes()].concat();
        feed(&mut decoder, &header, 12).unwrap();
        assert_eq!(decoder.space().unwrap().len(), CHUNK);
        decoder.advance(CHUNK).unwrap();
        assert_eq!(decoder.space().unwrap().len(), CHUNK);
        assert!(decoder.body.capacity() <= 2 * CHUNK);
    }

    #[test]
    fn memory_of_a_large_frame_is_given_back() {
        let mut decoder = Decoder::new(4 * CHUNK);
        feed(&mut decoder, &frame(&vec![1; 4 * CHUNK]), CHUNK).unwrap();
        decoder.discard();
        assert!(decoder.body.capacity() <= CHUNK);
        feed(&mut decoder, &frame(b"next"), 9).unwrap();
        assert_eq!(decoder.body(), b"next");
    }
}
