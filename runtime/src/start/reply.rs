//! What a child answers.

use super::{Panic, spilled};
use crate::wire::{self, Incoming, Line, Outgoing};
use serde::{Deserialize, Serialize};
use std::io;

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

pub(super) mod kind {
    pub(super) const REACHED: u8 = 1;
    pub(super) const FAILED: u8 = 2;
    pub(super) const RETURNED: u8 = 3;
    pub(super) const UNSENDABLE: u8 = 4;
    pub(super) const PANICKED: u8 = 5;
    /// Set when what the frame has are not the bytes but a summary of what follows, on the line or in the last of the descriptors.
    pub(in crate::start) const SPILLED: u8 = 0x80;
}

/// What fits into a socket without anybody reading at the other end.
const INLINE: usize = 64 << 10;

pub(super) fn send_reached(line: &Line<'_>) -> io::Result<()> {
    line.send(kind::REACHED, &[], &[])
}

pub(super) fn send_failed(line: &Line<'_>, failure: &Failure) -> io::Result<()> {
    send_encoded(line, kind::FAILED, failure)
}

pub(super) fn send_panicked(line: &Line<'_>, panic: &Panic) -> io::Result<()> {
    // In the middle of a value it would be taken for a part of it.
    if spilled::is_sending() {
        return Ok(());
    }
    send_encoded(line, kind::PANICKED, panic)
}

pub(super) fn send_returned(line: &Line<'_>, value: Outgoing<'_>) -> io::Result<()> {
    send(line, kind::RETURNED, value)
}

pub(super) fn send_unsendable(line: &Line<'_>, why: &str) -> io::Result<()> {
    let message = Outgoing::from(why.as_bytes().to_vec());
    send(line, kind::UNSENDABLE, message)
}

fn send_encoded(line: &Line<'_>, kind: u8, answer: &impl Serialize) -> io::Result<()> {
    let bytes = wire::encode(answer).map_err(io::Error::other)?;
    send(line, kind, Outgoing::from(bytes))
}

/// Sends an answer that the parent may read long after this process has ended: what is too large for the socket goes into
/// memory of its own, so that a child never stays because nobody joins it, and its pidfd tells the truth.
fn send(line: &Line<'_>, kind: u8, message: Outgoing<'_>) -> io::Result<()> {
    if message.blobs.0.is_empty() && message.bytes.len() <= INLINE {
        return line.send(kind, &message.bytes, &message.fds);
    }
    spilled::send(line, kind, message)
}
/// Receives the next answer; none when there will be no more.
pub(crate) fn receive(line: &Line<'_>) -> io::Result<Option<Reply>> {
    let Some(mut frame) = line.receive()? else {
        return Ok(None);
    };
    if frame.kind & kind::SPILLED != 0 {
        frame.kind &= !kind::SPILLED;
        let file = frame.fds.pop().ok_or(io::ErrorKind::InvalidData)?;
        (frame.bytes, frame.blobs) = spilled::receive(line, file, &frame.bytes)?;
    }
    let decode = |error: Box<dyn std::error::Error + Send + Sync>| {
        io::Error::new(io::ErrorKind::InvalidData, error)
    };
    Ok(Some(match frame.kind {
        kind::REACHED => Reply::Reached,
        kind::FAILED => Reply::Failed(wire::decode(&frame.bytes).map_err(decode)?),
        kind::RETURNED => Reply::Returned(Incoming::from(frame)),
        kind::UNSENDABLE => Reply::Unsendable(String::from_utf8_lossy(&frame.bytes).into_owned()),
        kind::PANICKED => Reply::Panicked(wire::decode(&frame.bytes).map_err(decode)?),
        _ => return Err(io::ErrorKind::InvalidData.into()),
    }))
}
