//! The arrival of a child at its function: the child applies what the birth says.

use super::{line::next, perform, tell};
use crate::{
    call::Entry,
    error::{Error, ErrorKind, Result},
    start::{
        StartMethod,
        identity::{self, AuthKey, Identity, Parent},
        lifeline,
        message::{
            birth::{Birth, Role},
            heritage::Changes,
        },
        settings::setting,
    },
    sys::{
        alone::Alone,
        environment,
        fd::{AsFd, OwnedFd},
        limits, overflow, signal, stdio, wait,
    },
    wire::{self, Frame, Incoming, Line},
};
use std::{mem, time::Duration};

pub(super) const NO_NULL: &str = "/dev/null cannot be opened for its standard streams";

/// How long the child spins while the parent finds out what has changed, before it sleeps. The
/// parent usually needs about as long.
const SPIN: Duration = Duration::from_micros(100);

/// Where the child begins its work as a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entered {
    /// Before `main`: the start-up code of std has not run.
    BeforeMain,
    InMain,
}

pub(super) fn overflow_message(name: &str) -> String {
    format!(
        "\nprocess `{name}` has overflowed its stack\nfatal runtime error: stack overflow, aborting\n"
    )
}

/// Applies the birth to this process. Returns the function and its arguments.
///
/// Waits for each message of the parent. `birth` is the first frame, if it has been received
/// already.
pub(super) fn arrive(
    line: &Line<'_>,
    birth: Option<Frame>,
    entered: Entered,
    alone: Option<&Alone>,
) -> Result<(Entry, Incoming)> {
    let Frame { mut bytes, fds, .. } = birth.map_or_else(|| next(line, "its settings"), Ok)?;
    let (mut birth, arguments) = Birth::decode(&mut bytes)?;
    if birth.awaits_parent && birth.start_method == StartMethod::ForkServer {
        tell::arrived(line).map_err(|source| Error::os("its parent is gone", source))?;
    }
    for (role, fd) in birth.roles.iter().zip(fds) {
        accept(*role, fd)?;
    }
    introduce(&mut birth, alone)?;
    if entered == Entered::BeforeMain {
        overflow::say(overflow_message(&birth.name));
    }
    let mut another_stack = false;
    if birth.start_method == StartMethod::ForkServer {
        // The parent is finding out at this moment what has changed, so its message comes soon.
        wait::spin(line.socket, SPIN);
        another_stack = inherit(&next(line, "what its parent is like")?)?;
    } else {
        stdio::fill_gaps().map_err(setting(NO_NULL))?;
    }
    let has_arguments = birth.has_arguments;
    let entry = take_up(birth)?.ok_or_else(|| {
        Error::new(
            ErrorKind::NotInExecutable,
            "its executable is another one than its parent's",
        )
    })?;
    if another_stack && entered == Entered::BeforeMain {
        overflow::watch().map_err(setting("its stack cannot be watched"))?;
    }
    let arguments = if has_arguments {
        Incoming::new(arguments, Vec::new())
    } else {
        Incoming::from(next(line, "its arguments")?)
    };
    Ok((entry, arguments.when_ready(perform::reached)))
}

/// Applies what has changed in the parent since the helper was started. Returns whether the limit
/// of the stack is among it.
fn inherit(frame: &Frame) -> Result<bool> {
    let changes: Changes = wire::decode(&frame.bytes).map_err(|source| {
        Error::new(ErrorKind::Decode, "what it inherits cannot be decoded").because(source)
    })?;
    let another_stack = changes.limits_stack();
    changes.apply()?;
    Ok(another_stack)
}

/// Puts a descriptor to the use that its role says.
pub(super) fn accept(role: Role, fd: OwnedFd) -> Result<()> {
    match role {
        Role::Input => {
            stdio::replace(0, fd.as_fd()).map_err(setting("its standard input cannot be set"))
        }
        Role::Output => {
            stdio::replace(1, fd.as_fd()).map_err(setting("its standard output cannot be set"))
        }
        Role::Error => {
            stdio::replace(2, fd.as_fd()).map_err(setting("its standard error cannot be set"))
        }
        Role::Directory => stdio::set_working_directory(fd.as_fd()).map_err(setting(
            "its working directory cannot be that of its parent",
        )),
        Role::Lifeline => lifeline::tie(fd).map_err(setting("its lifeline cannot be armed")),
        Role::Sentinel => {
            // It stays open until this process ends. The parent sees the end of the pipe.
            mem::forget(fd);
            Ok(())
        }
    }
}

/// Sets the environment, the name and the identity of this process.
pub(super) fn introduce(birth: &mut Birth, alone: Option<&Alone>) -> Result<()> {
    if let Some(environment) = birth.environment.take() {
        // A child that has its environment from an exec is sent none.
        let alone = alone.ok_or_else(|| {
            let what = "its environment cannot be set, since it has more than one thread";
            Error::new(ErrorKind::Setting, what)
        })?;
        environment::replace(environment, alone);
    }
    limits::set_name(&birth.name).map_err(setting("it cannot be named"))?;
    let identity = Identity {
        name: birth.name.clone(),
        bond: birth.bond,
        start_method: Some(birth.start_method),
        parent: Some(Parent::new(mem::take(&mut birth.parent_name))),
        before: None,
    };
    let authkey = mem::replace(&mut birth.authkey, AuthKey::new([]));
    identity::assume(identity, authkey);
    Ok(())
}

/// Applies the settings. Returns the function, or `None` if it is not in this executable.
pub(super) fn take_up(birth: Birth) -> Result<Option<Entry>> {
    if let Some(left) = birth.timeout {
        signal::kill_after(left).map_err(setting("its timeout cannot be set"))?;
    }
    birth.settings.apply()?;
    signal::set_mask(birth.signal_mask).map_err(setting("its signal mask cannot be set"))?;
    // If SIGTERM were ignored, the parent could not ask the process to end.
    signal::heed(signal::SIGTERM).map_err(setting("SIGTERM cannot be heeded"))?;
    let entry = birth.entry.map_or(Ok(None), |entry| entry.resolve());
    entry.map_err(|source| Error::os("its executable cannot be read", source))
}
