//! Blobs: contents that are too large for the bytes of a message, and go beside them.

use crate::sys::segment::{self, Segment, Width};
use std::io;

/// A blob that has arrived.
pub(crate) type Arrived = Segment;

/// Numbers or text, as bytes.
#[derive(Debug)]
pub(crate) struct Blob<'a> {
    pub(crate) width: Width,
    pub(crate) content: Content<'a>,
}

/// Where the bytes of a blob are.
#[derive(Debug)]
pub(crate) enum Content<'a> {
    /// In the value that is sent.
    Lent(&'a [u8]),
    /// In a copy, since the value may be gone before the message is sent.
    Copied(Vec<u8>),
}

/// The blobs of a message, in the order in which its bytes count them.
#[derive(Debug, Default)]
pub(crate) struct Blobs<'a>(pub(crate) Vec<Blob<'a>>);

impl<'a> Blobs<'a> {
    /// Adds bytes that live until the message is sent. Returns their place.
    pub(super) fn lend(&mut self, width: Width, bytes: &'a [u8]) -> u64 {
        self.push(width, Content::Lent(bytes))
    }

    /// Adds a copy of bytes that may be gone soon. Returns their place.
    pub(super) fn copy(&mut self, width: Width, bytes: &[u8]) -> io::Result<u64> {
        let content = Content::Copied(segment::copy(bytes)?);
        Ok(self.push(width, content))
    }

    fn push(&mut self, width: Width, content: Content<'a>) -> u64 {
        self.0.push(Blob { width, content });
        self.0.len() as u64 - 1
    }

    /// Returns the blobs as they would arrive, without sending them.
    pub(crate) fn arrive(&self) -> io::Result<Vec<Arrived>> {
        let blobs = self.0.iter();
        blobs
            .map(|blob| Segment::copied(blob.width, blob.bytes()))
            .collect()
    }
}

impl Blob<'_> {
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.content {
            Content::Lent(bytes) => bytes,
            Content::Copied(bytes) => bytes,
        }
    }
}

/// The frame kind of blobs, to which the base-2 logarithm of the width is added.
const KIND: u8 = 0x40;

/// Returns the frame kind of a blob of this width.
pub(super) fn kind(width: Width) -> u8 {
    KIND + width.log2()
}

/// Returns the width of the blob in a frame of this kind, or `None` if the frame is not a blob's.
pub(super) fn width(kind: u8) -> Option<Width> {
    kind.checked_sub(KIND).and_then(Width::from_log2)
}
