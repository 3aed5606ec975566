//! The messages to a new child, and the wait for its answers.

use super::{
    gifts::Gifts,
    newborn::{Newborn, Unborn},
    replies::Replies,
};
use crate::{
    error::{Error, ErrorKind},
    start::{
        message::{
            birth::{Birth, kind},
            reply::Reply,
        },
        patience::STALL,
    },
    sys::segment::Width,
    wire::{Outgoing, is_end},
};
use std::{
    io,
    time::{Duration, Instant},
};

/// The most bytes of arguments that are sent together with the birth.
const SHORT: usize = 16 << 10;

/// Sends the birth, with the arguments if they are known and short.
pub(super) fn send_birth(
    newborn: &Newborn,
    birth: &mut Birth,
    gifts: &Gifts,
    arguments: Option<&Outgoing<'_>>,
) -> Result<(), Unborn> {
    birth.roles.clone_from(&gifts.roles);
    let inline = arguments
        .filter(|arguments| arguments.bytes.len() <= SHORT && arguments.has_nothing_beside());
    birth.has_arguments = inline.is_some();
    let inline = inline.map_or(&[][..], |arguments| &arguments.bytes);
    let encoded = birth.encode(inline).map_err(Unborn::Failed)?;
    match newborn.line().send(kind::BIRTH, &encoded, &gifts.fds) {
        // The child is not there, or it was a spare whose waiting time was over. In both cases it
        // has run no code of the user's.
        Err(error) if is_end(&error) && newborn.request().is_some() => {
            Err(newborn.ward().err().unwrap_or(Unborn::Gone))
        }
        result => unless_ended(newborn, result),
    }
}

pub(super) fn send_arguments(
    newborn: &Newborn,
    birth: &Birth,
    arguments: &Outgoing<'_>,
) -> Result<(), Unborn> {
    if birth.has_arguments {
        return Ok(());
    }
    let line = newborn.line();
    unless_ended(newborn, line.send_message(kind::ARGUMENTS, arguments))
}

/// Sends a large part of the arguments, whose encoding goes on.
pub(super) fn send_part(newborn: &Newborn, width: Width, bytes: &[u8]) -> Result<(), Unborn> {
    let line = newborn.line();
    line.widen();
    unless_ended(newborn, line.send_blob(width, bytes).map_err(Into::into))
}

/// Ignores the error of a child that ended before it had read everything: what it sent before says
/// why.
fn unless_ended(newborn: &Newborn, sent: io::Result<()>) -> Result<(), Unborn> {
    match sent {
        // Its time is over. The wait for the child will see that too.
        Err(error) if error.kind() == io::ErrorKind::TimedOut && newborn.is_over() => Ok(()),
        Err(error) if !is_end(&error) => Err(stalled(&error)),
        _ => Ok(()),
    }
}

/// How far a process has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is there, and has its birth.
    Arrived,
    /// It has reached its function.
    Reached,
}

/// Waits until a process has reached this stage. Returns whether it has: it has not if its time was
/// over before.
pub(super) fn wait_until(newborn: &Newborn, stage: Stage) -> Result<bool, Unborn> {
    match Replies::default().next(&newborn.line()) {
        Ok(Some(Reply::Arrived)) if stage == Stage::Arrived => Ok(true),
        Ok(Some(Reply::Reached)) if stage == Stage::Reached => Ok(true),
        Ok(Some(Reply::Failed(failure))) => {
            newborn.await_end();
            Err(Unborn::Failed(failure.into()))
        }
        Ok(Some(Reply::OutOfMemory)) => {
            newborn.await_end();
            Err(Unborn::Failed(Error::new(
                ErrorKind::OutOfMemory,
                "it got no memory on its way to its function",
            )))
        }
        Err(error) if !is_end(&error) => unless_over(newborn, &error),
        _ if newborn.is_over() => out_of_time(newborn),
        _ => Err(Unborn::Failed(newborn.ended_early()?)),
    }
}

/// Returns what follows from an error of the line: a process whose time is over is killed, anything
/// else is an error.
pub(super) fn unless_over(newborn: &Newborn, error: &io::Error) -> Result<bool, Unborn> {
    if error.kind() == io::ErrorKind::TimedOut && newborn.is_over() {
        return out_of_time(newborn);
    }
    Err(stalled(error))
}

/// Kills a process whose time is over. Joining it reports that.
fn out_of_time(newborn: &Newborn) -> Result<bool, Unborn> {
    newborn.kill();
    newborn.ward().map_err(|_| {
        let what = "its timeout was over before there was a process for it";
        Unborn::Failed(Error::new(ErrorKind::TimedOut, what))
    })?;
    Ok(false)
}

fn stalled(error: &io::Error) -> Unborn {
    let error = match error.kind() {
        io::ErrorKind::ResourceBusy => return Unborn::Stopped,
        io::ErrorKind::TimedOut => Error::new(
            ErrorKind::TimedOut,
            format!(
                "it made no progress towards its function for {} s",
                STALL.as_secs()
            ),
        ),
        kind => {
            let source = error
                .raw_os_error()
                .map_or_else(|| kind.into(), io::Error::from_raw_os_error);
            Error::os("it cannot be talked to", source)
        }
    };
    Unborn::Failed(error)
}

/// Returns how much time is left.
pub(super) fn left(deadline: Option<Instant>) -> Option<Duration> {
    deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
}
