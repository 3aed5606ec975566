//! What is too large to stand among the bytes of a message, and goes beside them.

use crate::sys::{
    memfd,
    segment::{self, Segment, Width},
};
use std::{fs::File, io, io::Write};

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
    /// So many, the next in the file.
    Spilled(usize),
}

/// The blobs of a message, in the order in which its bytes count them.
#[derive(Debug, Default)]
pub(crate) struct Blobs<'a> {
    pub(crate) list: Vec<Blob<'a>>,
    spill: Spill,
}

/// Whether blobs are to be written to a file at once.
#[derive(Debug, Default)]
enum Spill {
    #[default]
    No,
    Wanted,
    File(File),
}

impl<'a> Blobs<'a> {
    /// Blobs that go into a memory of their own at once, and can be read from there when this process has ended.
    pub(crate) fn spilling() -> Self {
        Self {
            list: Vec::new(),
            spill: Spill::Wanted,
        }
    }

    /// Adds what stays where it is; returns its place. Not for those that are spilled.
    pub(super) fn lend(&mut self, width: Width, bytes: &'a [u8]) -> u64 {
        self.push(width, Content::Lent(bytes))
    }

    /// Whether what is lent is taken.
    pub(super) fn borrows(&self) -> bool {
        matches!(self.spill, Spill::No)
    }

    /// Adds what may be gone soon; returns its place.
    pub(super) fn copy(&mut self, width: Width, bytes: &[u8]) -> io::Result<u64> {
        if matches!(self.spill, Spill::Wanted) {
            // Without such memory the bytes are copied, and go through the socket after all.
            self.spill = memfd::create().map_or(Spill::No, Spill::File);
        }
        let content = match &mut self.spill {
            Spill::File(file) => {
                file.write_all(bytes)?;
                Content::Spilled(bytes.len())
            }
            Spill::No | Spill::Wanted => Content::Copied(segment::copy(bytes)?),
        };
        Ok(self.push(width, content))
    }

    fn push(&mut self, width: Width, content: Content<'a>) -> u64 {
        self.list.push(Blob { width, content });
        self.list.len() as u64 - 1
    }

    /// The same without what was lent, of which it takes copies.
    pub(super) fn into_owned(self) -> io::Result<Blobs<'static>> {
        let list = self.list.into_iter().map(|Blob { width, content }| {
            let content = match content {
                Content::Lent(bytes) => Content::Copied(segment::copy(bytes)?),
                Content::Copied(bytes) => Content::Copied(bytes),
                Content::Spilled(length) => Content::Spilled(length),
            };
            Ok(Blob { width, content })
        });
        Ok(Blobs {
            list: list.collect::<io::Result<_>>()?,
            spill: self.spill,
        })
    }

    /// What arrives of them where they need not be sent.
    pub(crate) fn arrive(&self) -> io::Result<Vec<Arrived>> {
        let blobs = self.list.iter();
        blobs
            .map(|blob| {
                let bytes = blob.bytes().ok_or(io::ErrorKind::InvalidInput)?;
                Segment::copied(blob.width, bytes)
            })
            .collect()
    }

    /// Takes the file into which all of them were written, if they were.
    pub(crate) fn take_file(&mut self) -> Option<File> {
        match std::mem::take(&mut self.spill) {
            Spill::File(file) => Some(file),
            Spill::No | Spill::Wanted => None,
        }
    }
}

impl Blob<'_> {
    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        match &self.content {
            Content::Lent(bytes) => bytes.len(),
            Content::Copied(bytes) => bytes.len(),
            Content::Spilled(length) => *length,
        }
    }

    /// The bytes, if they are in memory.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Lent(bytes) => Some(bytes),
            Content::Copied(bytes) => Some(bytes),
            Content::Spilled(_) => None,
        }
    }
}
