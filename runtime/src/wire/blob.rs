//! Blobs: contents that are too large for the bytes of a message, and go beside them.

use crate::sys::segment::{self, Segment, Width};
use std::{fmt, io};

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

/// Sends a blob while the rest of its message is still being encoded, so that the blob need not be
/// copied.
pub(crate) trait Sink: fmt::Debug {
    /// Sends a blob. If this fails, the message cannot be sent.
    fn send(&self, width: Width, bytes: &[u8]) -> io::Result<()>;
}

/// The smallest blob that is sent while its message is encoded, in bytes. A smaller one is copied,
/// in less time than it would take to talk to the other process first.
const HUGE: usize = 1 << 20;

/// The blobs of a message, in the order in which its bytes count them.
#[derive(Debug, Default)]
pub(crate) struct Blobs<'a> {
    /// The first ones have been sent.
    sent: u64,
    /// The others.
    pub(crate) waiting: Vec<Blob<'a>>,
    sink: Option<&'a dyn Sink>,
}

impl<'a> Blobs<'a> {
    /// Returns an empty list. Large blobs that may be gone soon are sent at once, to `sink`.
    pub(super) fn through(sink: &'a dyn Sink) -> Self {
        Self {
            sink: Some(sink),
            ..Self::default()
        }
    }

    /// Whether the message has no blobs.
    pub(crate) fn is_empty(&self) -> bool {
        self.sent == 0 && self.waiting.is_empty()
    }

    /// Adds bytes that live until the message is sent. Returns their place.
    pub(super) fn lend(&mut self, width: Width, bytes: &'a [u8]) -> u64 {
        self.push(width, Content::Lent(bytes))
    }

    /// Adds bytes that may be gone soon: sends or copies them. Returns their place.
    pub(super) fn take(&mut self, width: Width, bytes: &[u8]) -> io::Result<u64> {
        if let Some(sink) = self.sink
            && bytes.len() >= HUGE
        {
            for blob in self.waiting.drain(..) {
                sink.send(blob.width, blob.bytes())?;
                self.sent += 1;
            }
            sink.send(width, bytes)?;
            self.sent += 1;
            return Ok(self.sent - 1);
        }
        let content = Content::Copied(segment::copy(bytes)?);
        Ok(self.push(width, content))
    }

    fn push(&mut self, width: Width, content: Content<'a>) -> u64 {
        self.waiting.push(Blob { width, content });
        self.sent + self.waiting.len() as u64 - 1
    }

    /// Returns the blobs as they would arrive, without sending them.
    pub(crate) fn arrive(&self) -> io::Result<Vec<Arrived>> {
        let blobs = self.waiting.iter();
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
pub(crate) fn kind(width: Width) -> u8 {
    KIND + width.log2()
}

/// Returns the width of the blob in a frame of this kind, or `None` if the frame is not a blob's.
pub(super) fn width(kind: u8) -> Option<Width> {
    kind.checked_sub(KIND).and_then(Width::from_log2)
}
