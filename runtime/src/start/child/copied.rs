//! A child that is a copy of its parent.

use super::{
    arrival::{NO_NULL, accept, introduce, overflow_message, setting, settle},
    hook,
    line::{FAILED, hold, line_on, next},
    perform,
};
use crate::{
    error::{Error, Result},
    start::message::birth::{Birth, Role},
    sys::{abort, fork, overflow, stdio},
    wire::{Entry, Incoming, Line, Outgoing},
};
use std::{
    io::{self, Write},
    os::fd::OwnedFd,
};

/// What the copy does with what it has of its parent, and before its end: the business of those above.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copying {
    /// Gives up what is the parent's own.
    pub(crate) disown: fn(),
    /// Sees to its children.
    pub(crate) settle: extern "C" fn(),
}

/// What is in memory already, and need not be told.
pub(in crate::start) struct Known<'a> {
    pub(in crate::start) birth: Birth,
    pub(in crate::start) entry: Entry,
    pub(in crate::start) arguments: Outgoing<'a>,
    /// What each of the gifts is for.
    pub(in crate::start) roles: Vec<Role>,
    pub(in crate::start) gifts: Vec<OwnedFd>,
    pub(in crate::start) copying: Copying,
}

/// Lives as a child that is a copy of its parent; returns the exit status.
///
/// What the parent has registered with `atexit` is its own business, and is not done by the copy too.
pub(in crate::start) fn live_copied(socket: OwnedFd, known: Known<'_>) -> i32 {
    let copying = known.copying;
    (copying.disown)();
    perform::begin();
    let Ok(socket) = stdio::above_standard(socket) else {
        return FAILED;
    };
    let line = line_on(hold(socket));
    let status = match await_parent(&line, &known).and_then(|()| become_child(known)) {
        Ok((entry, arguments)) => perform::run(&line, entry, arguments),
        Err(error) => perform::fail(&line, &error),
    };
    (copying.settle)();
    // There is nobody to be told of what cannot be written.
    let _ = io::stdout().flush();
    fork::flush();
    status
}

/// Waits until the parent knows this copy of it, if it must.
fn await_parent(line: &Line<'_>, known: &Known<'_>) -> Result<()> {
    if known.birth.awaits_parent {
        next(line, "what its parent has to say")?;
    }
    Ok(())
}

/// Becomes what the parent wants its copy to be; returns its function and the arguments.
fn become_child(known: Known<'_>) -> Result<(Entry, Incoming)> {
    hook::watch();
    overflow::widen_stack().map_err(setting("its handlers cannot have a stack"))?;
    abort::watch().map_err(setting("its aborts cannot be watched"))?;
    let no_streams = || setting("its standard streams cannot be set");
    let above = |fds: Vec<OwnedFd>| -> Result<Vec<OwnedFd>> {
        let moved: io::Result<_> = fds.into_iter().map(stdio::above_standard).collect();
        moved.map_err(no_streams())
    };
    let (gifts, argument_fds) = (above(known.gifts)?, above(known.arguments.fds)?);
    // The parent's are not its own, but where it was given them.
    stdio::replace_all_by_null().map_err(setting(NO_NULL))?;
    for (role, fd) in known.roles.into_iter().zip(gifts) {
        accept(role, fd)?;
    }
    overflow::say(overflow_message(&known.birth.name));
    let mut birth = known.birth;
    introduce(&mut birth)?;
    settle(birth)?;
    // This is a copy of the process that lent them, but what is decoded has to be its own.
    let blobs = known
        .arguments
        .blobs
        .arrive()
        .map_err(|source| Error::os("no memory for its arguments", source))?;
    let arguments = Incoming::new(known.arguments.bytes, argument_fds).with_blobs(blobs);
    Ok((known.entry, arguments.when_ready(perform::reached)))
}
