//! How a new process finds out that it is a child, and what it does from there to its end.
//!
//! The parent says in the environment that a new process is a child. But an environment proves
//! nothing. So the standard input must be a socket, and the kernel must say that our parent made
//! it, as our user. The parent sends everything else over that socket.

use super::{
    arrival::{Entered, NO_NULL, arrive},
    hook, init,
    line::{FAILED, hold, line_on, next},
    perform, server,
};
use crate::{
    error::Result,
    start::{
        mark::{VARIABLE, mark},
        message::birth::kind,
        settings::setting,
    },
    sys::{
        abort,
        alone::Alone,
        environment, exit,
        fd::{AsFd, OwnedFd},
        overflow, own, privilege, profile, signal, socket, stdio, wait,
    },
    wire::Frame,
};
use std::{
    io, process,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

/// Whether `main` enters the child. Otherwise the child is entered before `main`.
static DEFERRED: AtomicBool = AtomicBool::new(false);

/// Whether this process is a child that `main` has not entered yet.
static WAITING: AtomicBool = AtomicBool::new(false);

/// Enters the child before `main`, if this process is one. It is called when the program is loaded.
pub(crate) fn at_load() {
    let Some(value) = environment::get_at_load(VARIABLE) else {
        return;
    };
    // The variable is meant for another copy of this crate, which finds it and the standard input
    // unchanged.
    if !mark().is_ok_and(|mark| mark.as_bytes() == value) {
        return;
    }
    // If a library has started a thread, the variable stays: it does no harm there.
    if let Ok(Some(alone)) = Alone::check() {
        environment::take(VARIABLE, &alone);
    }
    if !is_child() {
        return;
    }
    // The parent does not start a process that gets privileges. This one has got some all the same,
    // by the rule of a security module for example, and such a process takes no orders.
    if privilege::is_secure() {
        exit::now(FAILED);
    }
    if DEFERRED.load(Ordering::Relaxed) {
        WAITING.store(true, Ordering::Relaxed);
    } else {
        enter(Entered::BeforeMain);
    }
}

/// Makes `main` enter the child, by a call of [`run_deferred`]. A constructor that runs before ours
/// calls this function.
pub fn defer() {
    DEFERRED.store(true, Ordering::Relaxed);
}

/// Enters the child, if this process is one and [`defer`] was called. It is the first call in
/// `main`.
pub fn run_deferred() {
    if WAITING.swap(false, Ordering::Relaxed) {
        enter(Entered::InMain);
    }
}

fn is_child() -> bool {
    let stdin = io::stdin();
    let peer = match socket::creator(stdin.as_fd()) {
        Ok(Some(peer)) => peer,
        Ok(None) => return false,
        // A filter refuses the question. `main` must not run if this is a child.
        Err(_) => exit::now(FAILED),
    };
    if peer.uid != privilege::user() {
        return false;
    }
    if peer.pid == own::parent_id() {
        return true;
    }
    // The process that made the socket is not our parent now. There are two cases:
    //
    // 1. The other end is closed. That process may have been our parent, and died before we came
    //    here. Then there is nothing to do, and `main` must not run.
    // 2. The other end is open. Then the variable is wrong, and this process is no child.
    if wait::readable(stdin.as_fd(), Some(Instant::now())).unwrap_or(false) {
        exit::now(0);
    }
    false
}

fn enter(entered: Entered) -> ! {
    match stdio::take_stdin() {
        Ok(socket) => live(socket, entered),
        // The parent sees the end of the socket, and that the child has sent nothing.
        Err(_) => exit::now(FAILED),
    }
}

/// Becomes a child or the helper, as the parent at the other end of the socket says, and ends as
/// that.
fn live(socket: OwnedFd, entered: Entered) -> ! {
    match prepare(entered).and_then(|()| next(&line_on(&socket), "its settings")) {
        Ok(frame) if frame.kind == kind::SERVE => {
            drop(socket);
            match server::serve(frame.fds, entered) {
                Ok((child, alone)) => begin(child, None, entered, Some(&alone)),
                // The owner sees that the helper has ended.
                Err(_) => exit::now(FAILED),
            }
        }
        Ok(frame) => begin(socket, Some(frame), entered, None),
        Err(error) => process::exit(perform::fail(&line_on(&socket), &error)),
    }
}

/// Sets up what std has not set up in this process, for this process and for those that it forks.
fn prepare(entered: Entered) -> Result<()> {
    if entered == Entered::BeforeMain {
        signal::ignore_broken_pipes().map_err(setting("SIGPIPE cannot be ignored"))?;
        overflow::watch().map_err(setting("its stack cannot be watched"))?;
    } else {
        overflow::widen_stack().map_err(setting("its handlers cannot have a stack"))?;
    }
    abort::watch().map_err(setting("its aborts cannot be watched"))?;
    hook::watch();
    stdio::replace_input_by_null().map_err(setting(NO_NULL))
}

/// Lives as the child: from its birth to the end of the process.
fn begin(socket: OwnedFd, birth: Option<Frame>, entered: Entered, alone: Option<&Alone>) -> ! {
    let line = line_on(hold(socket));
    let arrived = arrive(&line, birth, entered, alone);
    // The child has its environment by now, which says where the profile goes.
    profile::begin();
    let status = match arrived.and_then(|arrived| init::run().map(|()| arrived)) {
        Ok((entry, arguments)) => perform::run(&line, entry, arguments),
        Err(error) => perform::fail(&line, &error),
    };
    process::exit(status)
}
