//! A message of a queue in encoded form.

use super::{bundle, ring::Form};
use crate::{
    error::{Error, ErrorKind, Result},
    sys::{
        memfd,
        segment::{Segment, Width},
    },
    wire::{self, Arrived, Incoming, Outgoing, Transfer},
};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{self, Seek, Write},
    os::fd::OwnedFd,
};

/// An encoded message: its bytes and its descriptors. It owns all its data, so it can wait until
/// there is room.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) bytes: Vec<u8>,
    pub(super) fds: Vec<OwnedFd>,
    pub(super) form: Form,
}

/// Most encoded messages have no more bytes than this.
const USUAL: usize = 256;

/// Describes a spilled message. Its memory file holds the bytes of the message, and then the large
/// parts that are sent beside them.
#[derive(Debug, Serialize, Deserialize)]
struct Summary {
    length: u64,
    /// For each large part: the binary logarithm of its unit's width in bytes, and its length in
    /// bytes.
    beside: Vec<(u8, u64)>,
}

impl Parcel {
    /// Encodes a message. A message of more than `longest` bytes, or with large parts, is written
    /// into a memory file of its own.
    pub(super) fn pack<T: Transfer>(message: &T, longest: usize) -> Result<Self> {
        // Most messages are short: this capacity avoids a second allocation.
        let mut outgoing = Outgoing::from(Vec::with_capacity(USUAL));
        outgoing.put("a message", message)?;
        if outgoing.has_nothing_large() && outgoing.bytes.len() <= longest {
            return Self::tied(outgoing.bytes, outgoing.fds, false);
        }
        let file = write(&outgoing)
            .map_err(|source| Error::os("a large message cannot be written", source))?;
        let blobs = outgoing.blobs.waiting.iter();
        let summary = Summary {
            length: outgoing.bytes.len() as u64,
            beside: blobs
                .map(|blob| (blob.width.log2(), blob.bytes().len() as u64))
                .collect(),
        };
        let bytes = wire::encode(&summary).map_err(|source| {
            Error::new(ErrorKind::Encode, "a large message cannot be described").because(source)
        })?;
        if bytes.len() > longest {
            let what = "a message has too many large parts for this queue";
            return Err(Error::new(ErrorKind::Encode, what));
        }
        let mut fds = outgoing.fds;
        fds.push(file.into());
        Self::tied(bytes, fds, true)
    }

    /// Makes a parcel whose descriptors fit into one packet: if they are too many, it ties them
    /// into bundles.
    fn tied(bytes: Vec<u8>, fds: Vec<OwnedFd>, spilled: bool) -> Result<Self> {
        let bundled = fds.len() > bundle::MOST;
        let form = Form { spilled, bundled };
        let fds = if bundled {
            let count = fds.len();
            bundle::tie(&fds).map_err(|source| {
                let what = format!("a message with {count} descriptors cannot be sent");
                Error::os(what, source)
            })?
        } else {
            fds
        };
        Ok(Self { bytes, fds, form })
    }

    /// Unpacks the parcel into a message that can be decoded.
    pub(super) fn open(self) -> Result<Incoming> {
        let Self {
            bytes,
            mut fds,
            form,
        } = self;
        if form.bundled {
            fds = bundle::untie(fds).map_err(|source| unreadable(WHAT, source))?;
        }
        if !form.spilled {
            return Ok(Incoming::new(bytes, fds));
        }
        let broken = || Error::new(ErrorKind::Decode, LARGE);
        let file = fds.pop().ok_or_else(broken)?;
        let summary = wire::decode(&bytes).map_err(|source| broken().because(source))?;
        let (bytes, blobs) = read(file, &summary).map_err(|source| unreadable(LARGE, source))?;
        Ok(Incoming::new(bytes, fds).with_blobs(blobs))
    }
}

const WHAT: &str = "a message cannot be received";
const LARGE: &str = "a large message cannot be read";

/// The error of a message that cannot be received: the received data is wrong, or the system
/// refused.
pub(super) fn unreadable(what: &'static str, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            Error::new(ErrorKind::Decode, what).because(source)
        }
        _ => Error::os(what, source),
    }
}

fn write(message: &Outgoing<'_>) -> io::Result<File> {
    let mut file = memfd::create()?;
    file.write_all(&message.bytes)?;
    for blob in &message.blobs.waiting {
        file.write_all(blob.bytes())?;
    }
    Ok(file.into())
}

/// Reads a memory file that another process has written. The file may be anything and the summary
/// may be wrong. So only a memory file is read, which never blocks, and room for a length is made
/// only as bytes are read.
fn read(file: OwnedFd, summary: &Summary) -> io::Result<(Vec<u8>, Vec<Arrived>)> {
    memfd::check(&file)?;
    let mut file = File::from(file);
    file.rewind()?;
    let take = |width: u8, length: u64| {
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::InvalidData)?;
        let width = Width::from_log2(width).ok_or(io::ErrorKind::InvalidData)?;
        let mut segment = Segment::new(width, length).ok_or(io::ErrorKind::InvalidData)?;
        while !segment.is_full() {
            if segment.read(&file)? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
        }
        Ok(segment)
    };
    let bytes = take(Width::One.log2(), summary.length)?.into_vec();
    let blobs = summary.beside.iter();
    let blobs = blobs.map(|(width, length)| take(*width, *length));
    Ok((
        bytes.ok_or(io::ErrorKind::InvalidData)?,
        blobs.collect::<io::Result<_>>()?,
    ))
}
