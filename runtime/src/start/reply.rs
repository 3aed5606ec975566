//! What a child answers.

use super::Panic;
use crate::{
    sys::memfd,
    wire::{self, Incoming, Line, Outgoing},
};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    os::fd::OwnedFd,
};

/// One answer of a child.
#[derive(Debug)]
pub(crate) enum Reply {
    /// It comes to its function now.
    Reached,
    /// It will not come to its function.
    Failed(Failure),
    /// Its function has returned.
    Returned(Incoming),
    /// Its function has returned a value that cannot be encoded.
    Unsendable(String),
    /// Its function has panicked.
    Panicked(Panic),
}

/// Why a child did not come to its function.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) what: String,
    pub(crate) errno: Option<i32>,
    pub(crate) cause: Option<String>,
}

/// The sorts of failure that a child can tell of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FailureKind {
    Setting,
    Decode,
    /// Told by the errno.
    Os,
}

mod kind {
    pub(super) const REACHED: u8 = 1;
    pub(super) const FAILED: u8 = 2;
    pub(super) const RETURNED: u8 = 3;
    pub(super) const UNSENDABLE: u8 = 4;
    pub(super) const PANICKED: u8 = 5;
    /// Set when the bytes are in the last of the descriptors and not in the frame.
    pub(super) const SPILLED: u8 = 0x80;
}

/// What fits into a socket without anybody reading at the other end.
const INLINE: usize = 64 << 10;

pub(super) fn send_reached(line: &Line<'_>) -> io::Result<()> {
    line.send(kind::REACHED, &[], &[])
}

pub(super) fn send_failed(line: &Line<'_>, failure: &Failure) -> io::Result<()> {
    send(
        line,
        kind::FAILED,
        &wire::encode(failure).map_err(io::Error::other)?,
        Vec::new(),
    )
}

pub(super) fn send_returned(line: &Line<'_>, value: Outgoing) -> io::Result<()> {
    send(line, kind::RETURNED, &value.bytes, value.fds)
}

pub(super) fn send_unsendable(line: &Line<'_>, why: &str) -> io::Result<()> {
    send(line, kind::UNSENDABLE, why.as_bytes(), Vec::new())
}

pub(super) fn send_panicked(line: &Line<'_>, panic: &Panic) -> io::Result<()> {
    send(
        line,
        kind::PANICKED,
        &wire::encode(panic).map_err(io::Error::other)?,
        Vec::new(),
    )
}

/// Sends an answer that the parent may read long after this process has ended: what is too large for the socket goes into
/// memory of its own, so that a child never stays because nobody joins it, and its pidfd tells the truth.
fn send(line: &Line<'_>, kind: u8, bytes: &[u8], mut fds: Vec<OwnedFd>) -> io::Result<()> {
    if bytes.len() <= INLINE {
        return line.send(kind, bytes, &fds);
    }
    match spill(bytes) {
        Ok(file) => {
            fds.push(file.into());
            line.send(
                kind | kind::SPILLED,
                &(bytes.len() as u64).to_le_bytes(),
                &fds,
            )
        }
        // Without such memory it goes through the socket after all, and waits for the parent to join.
        Err(_) => line.send(kind, bytes, &fds),
    }
}

fn spill(bytes: &[u8]) -> io::Result<File> {
    let mut file = memfd::create()?;
    file.write_all(bytes)?;
    Ok(file)
}

/// Receives the next answer; none when there will be no more.
pub(crate) fn receive(line: &Line<'_>) -> io::Result<Option<Reply>> {
    let Some(mut frame) = line.receive()? else {
        return Ok(None);
    };
    if frame.kind & kind::SPILLED != 0 {
        frame.kind &= !kind::SPILLED;
        let file = frame.fds.pop().ok_or(io::ErrorKind::InvalidData)?;
        let length = frame
            .bytes
            .try_into()
            .map(u64::from_le_bytes)
            .map_err(|_| io::ErrorKind::InvalidData)?;
        frame.bytes = read_spilled(file, length)?;
    }
    let decode = |error: Box<dyn std::error::Error + Send + Sync>| {
        io::Error::new(io::ErrorKind::InvalidData, error)
    };
    Ok(Some(match frame.kind {
        kind::REACHED => Reply::Reached,
        kind::FAILED => Reply::Failed(wire::decode(&frame.bytes).map_err(decode)?),
        kind::RETURNED => Reply::Returned(Incoming::new(frame.bytes, frame.fds)),
        kind::UNSENDABLE => Reply::Unsendable(String::from_utf8_lossy(&frame.bytes).into_owned()),
        kind::PANICKED => Reply::Panicked(wire::decode(&frame.bytes).map_err(decode)?),
        _ => return Err(io::ErrorKind::InvalidData.into()),
    }))
}

/// Reads what a child has left in memory of its own. It need not have told the truth: nothing is read but such memory, which
/// never keeps a reader waiting, and no more than there is.
fn read_spilled(file: OwnedFd, length: u64) -> io::Result<Vec<u8>> {
    memfd::check(&file)?;
    let mut file = File::from(file);
    file.rewind()?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(
        usize::try_from(length.min(file.metadata()?.len())).map_err(io::Error::other)?,
    )?;
    if file.take(length).read_to_end(&mut bytes)? as u64 == length {
        Ok(bytes)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}
