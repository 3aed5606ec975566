//! A message of a queue in encoded form.

use super::{bundle, ring::Form, stash::Stash};
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
#[derive(Debug, Default)]
pub(crate) struct Parcel {
    pub(crate) bytes: Vec<u8>,
    pub(crate) fds: Vec<OwnedFd>,
    pub(crate) form: Form,
}

/// Most encoded messages have no more bytes than this.
const USUAL: usize = 256;

impl Parcel {
    /// Encodes a message. A message of more than `longest` bytes, or with large parts, is written
    /// into a memory file of its own.
    pub(super) fn pack<T: Transfer>(message: &T, longest: usize) -> Result<Self> {
        let packing = Packing::default();
        let mut outgoing = Outgoing::through(&packing);
        // Most messages are short: this capacity avoids a second allocation.
        outgoing.bytes.reserve(USUAL);
        outgoing.put("a message", message)?;
        let mut parcel = packing.finish(outgoing, longest)?;
        if let Some(bundles) = parcel.bundles()? {
            parcel.fds = bundles;
            parcel.form.bundled = true;
        }
        Ok(parcel)
    }

    /// Ties the descriptors into bundles if one packet cannot carry them all. Each receiver needs
    /// bundles of its own.
    pub(crate) fn bundles(&self) -> Result<Option<Vec<OwnedFd>>> {
        let count = self.fds.len();
        if count <= bundle::MOST {
            return Ok(None);
        }
        bundle::tie(&self.fds).map(Some).map_err(|source| {
            let what = format!("a message with {count} descriptors cannot be sent");
            Error::os(what, source)
        })
    }

    /// Takes the memory file out of a parcel that nobody reads any more.
    pub(crate) fn take_memory(&mut self) -> Option<Memory> {
        if !self.form.spilled || self.form.bundled {
            return None;
        }
        self.form.spilled = false;
        self.fds.pop().map(Memory::from)
    }

    /// Unpacks the parcel into a message that can be decoded.
    pub(crate) fn open(self) -> Result<Incoming> {
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

/// A message that is being encoded: its memory file, if it has one.
#[derive(Debug, Default)]
pub(crate) struct Packing<'s> {
    memory: RefCell<Option<Memory>>,
    /// Where the file comes from, instead of a new one.
    stash: Option<&'s Stash>,
}

#[cfg(feature = "pool")]
impl<'s> Packing<'s> {
    /// Packs a message with files of a stash, to which they are given back.
    pub(crate) fn with(stash: &'s Stash) -> Self {
        Self {
            memory: RefCell::default(),
            stash: Some(stash),
        }
    }
}

impl Packing<'_> {
    /// Makes a parcel of the message. If the message has more than `longest` bytes, or large parts,
    /// they are in the file. Its descriptors are not bundled.
    pub(crate) fn finish(&self, message: Outgoing<'_>, longest: usize) -> Result<Parcel> {
        if message.has_nothing_large() && message.bytes.len() <= longest {
            return Ok(Parcel {
                bytes: message.bytes,
                fds: message.fds,
                form: Form::default(),
            });
        }
        let file = self
            .write(|memory| flatten(&message, memory))
            .and_then(|()| self.take())
            .map_err(|source| Error::os("a large message cannot be written", source))?;
        let mut fds = message.fds;
        fds.push(file.into());
        Ok(Parcel {
            bytes: Vec::new(),
            fds,
            form: Form {
                spilled: true,
                bundled: false,
            },
        })
    }

    fn write(&self, act: impl FnOnce(&mut Memory) -> io::Result<()>) -> io::Result<()> {
        match &mut *self.memory.borrow_mut() {
            Some(memory) => act(memory),
            none => act(none.insert(self.create()?)),
        }
    }

    fn create(&self) -> io::Result<Memory> {
        if let Some(mut memory) = self.stash.and_then(Stash::take) {
            memory.rewind()?;
            return Ok(memory);
        }
        memfd::create()
    }

    fn take(&self) -> io::Result<Memory> {
        let mut memory = self.memory.take().ok_or(io::ErrorKind::NotFound)?;
        if self.stash.is_some() {
            // It may have held a longer message before.
            memory.cut()?;
        }
        Ok(memory)
    }
}

impl Sink for Packing<'_> {
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
