//! What a child tells its parent, who may receive it long after the child has ended.

use super::spill::Spill;
use crate::{
    start::message::{failure::Failure, panic::Panic, reply::kind},
    sys::{segment::Width, socket},
    wire::{self, Line, Outgoing},
};
use serde::Serialize;
use std::{
    io,
    sync::{Mutex, MutexGuard, TryLockError},
};

/// How many bytes of answers a socket takes while the other side receives nothing, unless the
/// system has made it smaller than usual.
const INLINE: usize = 64 << 10;

/// How many bytes any socket takes.
const SMALL: usize = 1 << 10;

static ANSWERS: Mutex<Answers> = Mutex::new(Answers {
    inline: 0,
    spill: None,
});

/// What has been answered.
struct Answers {
    /// How many bytes are in the socket, unless the parent has received them.
    inline: usize,
    /// Where everything goes that does not fit into the socket, and everything after it.
    spill: Option<Spill>,
}

/// The message that this process aborts after the system has refused it memory. A signal handler
/// sends it.
pub(super) static OUT_OF_MEMORY: [u8; wire::HEADER] = wire::header(kind::OUT_OF_MEMORY, 0, 0);

/// Begins anew, in a copy of a process that may have told its own parent something.
pub(super) fn begin() {
    if let Some(mut answers) = answers() {
        *answers = Answers {
            inline: 0,
            spill: None,
        };
    }
}

/// Tells the parent that this process is there, and has its birth.
pub(super) fn arrived(line: &Line<'_>) -> io::Result<()> {
    line.send(kind::ARRIVED, &[], &[])
}

pub(super) fn reached(line: &Line<'_>) -> io::Result<()> {
    line.send(kind::REACHED, &[], &[])
}

pub(super) fn failed(line: &Line<'_>, failure: &Failure) -> io::Result<()> {
    send_encoded(line, kind::FAILED, failure)
}

pub(super) fn panicked(line: &Line<'_>, panic: &Panic) -> io::Result<()> {
    send_encoded(line, kind::PANICKED, panic)
}

pub(super) fn backtrace(line: &Line<'_>, backtrace: &str) -> io::Result<()> {
    let bytes = backtrace.as_bytes().to_vec();
    send(line, kind::BACKTRACE, &Outgoing::from(bytes))
}

/// Sends a large part of the value, whose encoding goes on.
pub(super) fn part(line: &Line<'_>, width: Width, bytes: &[u8]) {
    if let Some(mut answers) = answers() {
        let spill = answers.spill.get_or_insert_with(|| Spill::begin(line));
        spill.blob(line, width, bytes);
    }
}

pub(super) fn returned(line: &Line<'_>, value: &Outgoing<'_>) -> io::Result<()> {
    send(line, kind::RETURNED, value)
}

pub(super) fn unsendable(line: &Line<'_>, failure: &Failure) -> io::Result<()> {
    send_encoded(line, kind::UNSENDABLE, failure)
}

fn send_encoded(line: &Line<'_>, kind: u8, answer: &impl Serialize) -> io::Result<()> {
    let bytes = wire::encode(answer).map_err(io::Error::other)?;
    send(line, kind, &Outgoing::from(bytes))
}

/// Sends an answer. An answer that is too large for the socket, and everything after it, is left in
/// memory if the parent does not take it at once. So a child never stays because its parent does
/// not join it, and its pidfd tells the end of its work.
fn send(line: &Line<'_>, kind: u8, message: &Outgoing<'_>) -> io::Result<()> {
    let Some(mut answers) = answers() else {
        return Ok(());
    };
    let length = answers.inline + message.bytes.len();
    let fits = || length <= SMALL || length <= INLINE.min(socket::room(line.socket));
    if answers.spill.is_none() && message.has_nothing_large() && fits() {
        answers.inline = length;
        return line.send(kind, &message.bytes, &message.fds);
    }
    let spill = answers.spill.get_or_insert_with(|| Spill::begin(line));
    spill.message(line, kind, message)
}

/// Locks the answers. Returns `None` if another thread is sending: the parent would take anything
/// else for a part of that.
fn answers() -> Option<MutexGuard<'static, Answers>> {
    match ANSWERS.try_lock() {
        Ok(answers) => Some(answers),
        Err(TryLockError::Poisoned(answers)) => Some(answers.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}
