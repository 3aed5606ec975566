//! The answers of a child.

use super::{
    failure::Failure,
    panic::Panic,
    spilled::{self, SPILLED, Spilled},
};
use crate::{
    sys::socket,
    wire::{self, Incoming, Line, Outgoing},
};
use serde::Serialize;
use std::io;

/// One answer of a child.
#[derive(Debug)]
pub(crate) enum Reply {
    /// It has its birth, and waits for the changes.
    Arrived,
    /// It calls its function next.
    Reached,
    /// It will not reach its function.
    Failed(Failure),
    /// Its function has returned.
    Returned(Incoming),
    /// Its function has returned a value that cannot be sent.
    Unsendable(Failure),
    /// Only a part of its value is there: the child ended while it sent the value, or had no memory
    /// to leave the rest in.
    Lost(Failure),
    /// Its function has panicked.
    Panicked(Panic),
    /// The backtrace of the panic.
    Backtrace(String),
    /// It aborts, and the system has refused it memory before.
    OutOfMemory,
    /// This process has no room for the descriptors of the answer. The answer has stayed on the
    /// line.
    NoRoom(io::Error),
}

pub(in crate::start) mod kind {
    pub(in crate::start) const REACHED: u8 = 1;
    pub(in crate::start) const FAILED: u8 = 2;
    pub(in crate::start) const RETURNED: u8 = 3;
    pub(in crate::start) const UNSENDABLE: u8 = 4;
    pub(in crate::start) const PANICKED: u8 = 5;
    pub(in crate::start) const BACKTRACE: u8 = 6;
    pub(in crate::start) const OUT_OF_MEMORY: u8 = 7;
    pub(in crate::start) const ARRIVED: u8 = 8;
}

/// How many bytes a socket takes while the other side receives nothing, unless the system has made
/// it smaller than usual.
const INLINE: usize = 64 << 10;

/// How many bytes any socket takes.
const SMALL: usize = 1 << 10;

/// Tells the parent that this process is there, and has its birth.
pub(in crate::start) fn send_arrived(line: &Line<'_>) -> io::Result<()> {
    line.send(kind::ARRIVED, &[], &[])
}

pub(in crate::start) fn send_reached(line: &Line<'_>) -> io::Result<()> {
    line.send(kind::REACHED, &[], &[])
}

pub(in crate::start) fn send_failed(line: &Line<'_>, failure: &Failure) -> io::Result<()> {
    send_encoded(line, kind::FAILED, failure)
}

pub(in crate::start) fn send_panicked(line: &Line<'_>, panic: &Panic) -> io::Result<()> {
    // In the middle of a value, the parent would take this message for a part of the value.
    if spilled::is_sending() {
        return Ok(());
    }
    send_encoded(line, kind::PANICKED, panic)
}

pub(in crate::start) fn send_backtrace(line: &Line<'_>, backtrace: &str) -> io::Result<()> {
    if spilled::is_sending() {
        return Ok(());
    }
    send(
        line,
        kind::BACKTRACE,
        Outgoing::from(backtrace.as_bytes().to_vec()),
    )
}

/// The message that this process aborts after the system has refused it memory. A signal handler
/// sends it.
pub(in crate::start) static OUT_OF_MEMORY: [u8; wire::HEADER] =
    wire::header(kind::OUT_OF_MEMORY, 0, 0);

pub(in crate::start) fn send_returned(line: &Line<'_>, value: Outgoing<'_>) -> io::Result<()> {
    send(line, kind::RETURNED, value)
}

pub(in crate::start) fn send_unsendable(line: &Line<'_>, failure: &Failure) -> io::Result<()> {
    send_encoded(line, kind::UNSENDABLE, failure)
}

fn send_encoded(line: &Line<'_>, kind: u8, answer: &impl Serialize) -> io::Result<()> {
    let bytes = wire::encode(answer).map_err(io::Error::other)?;
    send(line, kind, Outgoing::from(bytes))
}

/// Sends an answer that the parent may read long after this process has ended.
///
/// An answer that is too large for the socket is left in memory of its own, if the parent does not
/// take it at once. So a child never stays because its parent does not join it, and its pidfd tells
/// the end of its work.
fn send(line: &Line<'_>, kind: u8, message: Outgoing<'_>) -> io::Result<()> {
    let length = message.bytes.len();
    let fits = length <= SMALL || length <= INLINE.min(socket::room(line.socket));
    if message.blobs.0.is_empty() && fits {
        return line.send(kind, &message.bytes, &message.fds);
    }
    spilled::send(line, kind, message)
}

/// Receives the next answer. Returns `None` if the child is gone and has sent no more.
pub(crate) fn receive(line: &Line<'_>) -> io::Result<Option<Reply>> {
    match line.has_room_for_next() {
        Err(error) if error.raw_os_error() == Some(libc::EMFILE) => {
            return Ok(Some(Reply::NoRoom(error)));
        }
        result => result?,
    }
    let Some(mut frame) = line.receive()? else {
        return Ok(None);
    };
    if frame.kind & SPILLED != 0 {
        frame.kind &= !SPILLED;
        match spilled::receive(line, &mut frame.fds, &frame.bytes)? {
            Spilled::Whole(bytes, blobs) => (frame.bytes, frame.blobs) = (bytes, blobs),
            Spilled::Lost(failure) => return Ok(Some(Reply::Lost(failure))),
        }
    }
    let decode = |error: Box<dyn std::error::Error + Send + Sync>| {
        io::Error::new(io::ErrorKind::InvalidData, error)
    };
    Ok(Some(match frame.kind {
        kind::ARRIVED => Reply::Arrived,
        kind::REACHED => Reply::Reached,
        kind::FAILED => Reply::Failed(wire::decode(&frame.bytes).map_err(decode)?),
        kind::RETURNED => Reply::Returned(Incoming::from(frame)),
        kind::UNSENDABLE => Reply::Unsendable(wire::decode(&frame.bytes).map_err(decode)?),
        kind::PANICKED => Reply::Panicked(wire::decode(&frame.bytes).map_err(decode)?),
        kind::BACKTRACE => Reply::Backtrace(String::from_utf8_lossy(&frame.bytes).into_owned()),
        kind::OUT_OF_MEMORY => Reply::OutOfMemory,
        _ => return Err(io::ErrorKind::InvalidData.into()),
    }))
}
