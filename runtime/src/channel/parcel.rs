//! A message of a queue in encoded form.

use super::{bundle, ring::Form};
use crate::{
    error::{Error, ErrorKind, Result},
    sys::{
        fd::OwnedFd,
        memfd::{self, Memory},
        segment::Width,
    },
    wire::{Incoming, Outbox, Outgoing, Sink, Source, Transfer, flatten, unflatten},
};
use std::{
    cell::RefCell,
    fs::File,
    io::{self, Seek},
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

impl Parcel {
    /// Encodes a message. A message of more than `longest` bytes, or with large parts, is written
    /// into a memory file of its own.
    pub(super) fn pack<T: Transfer>(message: &T, longest: usize) -> Result<Self> {
        // Most messages are short: this capacity avoids a second allocation.
        let file = Spilling::default();
        let mut outgoing = Outgoing::through(&file);
        outgoing.bytes.reserve(USUAL);
        outgoing.put("a message", message)?;
        if outgoing.has_nothing_large() && outgoing.bytes.len() <= longest {
            return Self::tied(outgoing.bytes, outgoing.fds, false);
        }
        let file = file
            .finish(&outgoing)
            .map_err(|source| Error::os("a large message cannot be written", source))?;
        let mut fds = outgoing.fds;
        fds.push(file);
        Self::tied(Vec::new(), fds, true)
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
        read(file, fds).map_err(|source| unreadable(LARGE, source))
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

/// The memory file of a message, if it has one.
#[derive(Debug, Default)]
struct Spilling(RefCell<Option<Memory>>);

impl Spilling {
    fn write(&self, act: impl FnOnce(&mut Memory) -> io::Result<()>) -> io::Result<()> {
        match &mut *self.0.borrow_mut() {
            Some(memory) => act(memory),
            none => act(none.insert(memfd::create()?)),
        }
    }

    /// Writes what is left of the message.
    fn finish(&self, message: &Outgoing<'_>) -> io::Result<OwnedFd> {
        self.write(|memory| flatten(message, memory))?;
        let memory = self.0.take().ok_or(io::ErrorKind::NotFound)?;
        Ok(memory.into())
    }
}

impl Sink for Spilling {
    fn send(&self, width: Width, bytes: &[u8]) -> io::Result<()> {
        self.write(|memory| Outbox::blob(width, bytes).write_out(memory))
    }
}

/// Reads a memory file that another process has written. The file may be anything. So only memory
/// is read, which never blocks.
fn read(file: OwnedFd, fds: Vec<OwnedFd>) -> io::Result<Incoming> {
    memfd::check(&file)?;
    let mut file = File::from(file);
    file.rewind()?;
    unflatten(Source::Memory(&file), fds)
}
