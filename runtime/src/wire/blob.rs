//! What is too large to stand among the bytes of a message, and goes beside them.

use crate::sys::segment::{self, Segment, Width};
use std::io;

/// What arrived beside the bytes of a message.
pub(crate) type Arrived = Segment;

/// Numbers or text, as bytes.
#[derive(Debug)]
pub(crate) struct Blob<'a> {
    pub(crate) width: Width,
    pub(crate) content: Content<'a>,
}

/// Where the bytes are.
#[derive(Debug)]
pub(crate) enum Content<'a> {
    /// Where they were found.
    Lent(&'a [u8]),
    /// Found somewhere that need not be there any more when the message is sent.
    Copied(Vec<u8>),
}

/// The blobs of a message, in the order in which its bytes count them.
#[derive(Debug, Default)]
pub(crate) struct Blobs<'a>(pub(crate) Vec<Blob<'a>>);

impl<'a> Blobs<'a> {
    /// Adds what stays where it is; returns its place.
    pub(super) fn lend(&mut self, width: Width, bytes: &'a [u8]) -> u64 {
        self.push(width, Content::Lent(bytes))
    }

    /// Adds what may be gone soon; returns its place.
    pub(super) fn copy(&mut self, width: Width, bytes: &[u8]) -> io::Result<u64> {
        let content = Content::Copied(segment::copy(bytes)?);
        Ok(self.push(width, content))
    }

    fn push(&mut self, width: Width, content: Content<'a>) -> u64 {
        self.0.push(Blob { width, content });
        self.0.len() as u64 - 1
    }

    /// What arrives of them where they need not be sent.
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

/// The kinds of the frames in which blobs go: to this is added the logarithm of the width.
const KIND: u8 = 0x40;

/// The kind of the frame of a blob of this width.
pub(super) fn kind(width: Width) -> u8 {
    KIND + width.log2()
}

/// The width of the blob in a frame of this kind; `None` if it is another frame.
pub(super) fn width(kind: u8) -> Option<Width> {
    kind.checked_sub(KIND).and_then(Width::from_log2)
}
