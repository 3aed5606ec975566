//! A child that is a copy of its parent (the fork start method).

use super::{
    arrival::{NO_NULL, accept, introduce, overflow_message, take_up},
    hook, init,
    line::{FAILED, hold, line_on, next},
    perform, stage,
};
use crate::{
    call::Entry,
    error::{Error, Result},
    start::{
        message::birth::{Birth, Role},
        settings::setting,
    },
    sys::{abort, alone::Alone, fd::OwnedFd, fork, overflow, stdio},
    wire::{Incoming, Line, Outgoing},
};
use std::io::{self, Write};

/// What the copy does with what it has from its parent, first and last. The caller knows these
/// steps; this module does not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copying {
    /// Called first. Gives up what belongs to the parent.
    pub(crate) disown: fn(),
    /// Called when the function has ended. Ends the copy's own daemons and waits for its other
    /// children.
    pub(crate) settle: extern "C" fn(),
}

/// What the copy has in memory, so that the parent need not send it.
pub(in crate::start) struct Known<'a> {
    pub(in crate::start) birth: Birth,
    pub(in crate::start) entry: Entry,
    pub(in crate::start) arguments: Outgoing<'a>,
    /// The role of each of the gifts, in the same order.
    pub(in crate::start) roles: Vec<Role>,
    pub(in crate::start) gifts: Vec<OwnedFd>,
    pub(in crate::start) copying: Copying,
}

/// Lives as a child that is a copy of its parent. Returns the exit status.
///
/// The caller ends the process without the functions that are registered with `atexit`: those are
/// the parent's, and the parent calls them.
pub(in crate::start) fn live_copied(socket: OwnedFd, known: Known<'_>, alone: &Alone) -> i32 {
    let copying = known.copying;
    (copying.disown)();
    stage::begin();
    let Ok(socket) = stdio::above_standard(socket) else {
        return FAILED;
    };
    let line = line_on(hold(socket));
    let arrived = await_parent(&line, &known).and_then(|()| become_child(known, alone));
    let status = match arrived.and_then(|arrived| init::run().map(|()| arrived)) {
        Ok((entry, arguments)) => perform::run(&line, entry, arguments),
        Err(error) => perform::fail(&line, &error),
    };
    (copying.settle)();
    // If the output cannot be written, there is no one to report it to.
    let _ = io::stdout().flush();
    fork::flush();
    status
}

/// If the parent must know this copy before its function runs, waits until it does.
fn await_parent(line: &Line<'_>, known: &Known<'_>) -> Result<()> {
    if known.birth.awaits_parent {
        next(line, "what its parent has to say")?;
    }
    Ok(())
}

/// Applies the birth to this copy of the parent. Returns the function and its arguments.
fn become_child(known: Known<'_>, alone: &Alone) -> Result<(Entry, Incoming)> {
    hook::watch();
    overflow::widen_stack().map_err(setting("its handlers cannot have a stack"))?;
    abort::watch().map_err(setting("its aborts cannot be watched"))?;
    let no_streams = || setting("its standard streams cannot be set");
    let above = |fds: Vec<OwnedFd>| -> Result<Vec<OwnedFd>> {
        let moved: io::Result<_> = fds.into_iter().map(stdio::above_standard).collect();
        moved.map_err(no_streams())
    };
    let (gifts, argument_fds) = (above(known.gifts)?, above(known.arguments.fds)?);
    // The copy does not keep the standard streams of its parent, except those that it was given.
    stdio::replace_all_by_null().map_err(setting(NO_NULL))?;
    for (role, fd) in known.roles.into_iter().zip(gifts) {
        accept(role, fd)?;
    }
    overflow::say(overflow_message(&known.birth.name));
    let mut birth = known.birth;
    introduce(&mut birth, Some(alone))?;
    take_up(birth)?;
    // The blobs borrow from the parent's memory. This process has a copy of that memory, but
    // decoding takes blobs that it owns.
    let blobs = known
        .arguments
        .blobs
        .arrive()
        .map_err(|source| Error::os("no memory for its arguments", source))?;
    let arguments = Incoming::new(known.arguments.bytes, argument_fds).with_blobs(blobs);
    Ok((known.entry, arguments.when_ready(perform::reached)))
}
