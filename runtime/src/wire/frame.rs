//! Frames: a kind, bytes of any length, and any number of descriptors, over a stream socket.

use super::blob::Arrived;
use crate::sys::fd::OwnedFd;
use std::io;

/// One message on the socket between a parent and its child.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) bytes: Vec<u8>,
    /// The blobs that came beside the bytes.
    pub(crate) blobs: Vec<Arrived>,
    pub(crate) fds: Vec<OwnedFd>,
    /// How many descriptors belong to the frame that are sent in another way.
    pub(crate) apart: usize,
}

/// The flag in the kind of a frame whose descriptors are sent in another way.
pub(super) const APART: u8 = 0x80;

/// What a header says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    pub(super) kind: u8,
    pub(super) length: usize,
    /// How many descriptors come with the frame.
    pub(super) descriptors: usize,
    /// How many descriptors are sent in another way.
    pub(super) apart: usize,
}

/// The size of a header: the kind, the length of the bytes, and the number of descriptors, each in
/// eight bytes, little-endian.
pub(crate) const HEADER: usize = 24;

/// Returns the header of a frame.
pub(crate) const fn header(kind: u8, length: u64, fds: u64) -> [u8; HEADER] {
    let fields = [
        (kind as u64).to_le_bytes(),
        length.to_le_bytes(),
        fds.to_le_bytes(),
    ];
    let mut header = [0; HEADER];
    let mut at = 0;
    while at < HEADER {
        header[at] = fields[at / 8][at % 8];
        at += 1;
    }
    header
}

/// Returns what a header says.
pub(super) fn fields(header: &[u8; HEADER]) -> io::Result<Fields> {
    let mut fields = header.chunks_exact(8).map(|field| {
        let field = field.try_into().unwrap_or_default();
        usize::try_from(u64::from_le_bytes(field))
    });
    let mut field = || match fields.next() {
        Some(Ok(field)) => Ok(field),
        _ => Err(invalid("its length is absurd")),
    };
    let (kind, length, descriptors) = (field()?, field()?, field()?);
    let kind = u8::try_from(kind).map_err(|_| invalid("its kind is unknown"))?;
    let (descriptors, apart) = match kind & APART {
        0 => (descriptors, 0),
        _ => (0, descriptors),
    };
    Ok(Fields {
        kind: kind & !APART,
        length,
        descriptors,
        apart,
    })
}

pub(super) fn invalid(why: &'static str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("a malformed message arrived: {why}"),
    )
}
