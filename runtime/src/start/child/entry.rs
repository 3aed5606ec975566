//! How a child is recognised, and its life from there to the end of the process.
//!
//! The parent says in the environment that a new process is a child. But an environment proves
//! nothing: what stands on the standard input must be a socket that the kernel says was made by our
//! parent, as our user. Everything else is told over that socket.

use super::{
    arrival::{Entered, NO_NULL, arrive, setting},
    hook,
    line::{FAILED, hold, line_on, next},
    perform, server,
};
use crate::{
    error::Result,
    start::{
        mark::{VARIABLE, mark},
        message::birth::kind,
    },
    sys::{abort, environment, exit, overflow, privilege, profile, signal, socket, stdio, wait},
    wire::Frame,
};
use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::parent_id,
    },
    process,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

/// Whether the child is entered by `main` instead of before it.
static DEFERRED: AtomicBool = AtomicBool::new(false);

/// Whether this process is a child that `main` has to enter.
static WAITING: AtomicBool = AtomicBool::new(false);

/// Called before `main`.
pub(in crate::start) fn at_load() {
    let Some(value) = environment::get_before_main(VARIABLE) else {
        return;
    };
    // Meant for another copy: it will find the variable and the standard input as they are.
    if !mark().is_ok_and(|mark| mark.as_bytes() == value) {
        return;
    }
    environment::take_before_main(VARIABLE);
    if privilege::is_secure() || !is_child() {
        return;
    }
    if DEFERRED.load(Ordering::Relaxed) {
        WAITING.store(true, Ordering::Relaxed);
    } else {
        enter(Entered::BeforeMain);
    }
}

/// Has the child entered by `main`, which will call [`run_deferred`]. Called by a constructor that comes before ours.
pub fn defer() {
    DEFERRED.store(true, Ordering::Relaxed);
}

/// Enters the child, if this process is one. Called first thing in `main`.
pub fn run_deferred() {
    if WAITING.swap(false, Ordering::Relaxed) {
        enter(Entered::InMain);
    }
}

fn is_child() -> bool {
    let stdin = io::stdin();
    let Some(peer) = socket::peer(stdin.as_fd()) else {
        return false;
    };
    if peer.uid != privilege::user() {
        return false;
    }
    if peer.pid == parent_id() {
        return true;
    }
    // Whoever made the socket is not our parent. If the other end is closed it may have been, and died before we came here:
    // then there is nothing to do, and least of all to run `main`. Otherwise the variable was a lie.
    if wait::readable(stdin.as_fd(), Some(Instant::now())).unwrap_or(false) {
        exit::now(0);
    }
    false
}

fn enter(entered: Entered) -> ! {
    match stdio::take_stdin() {
        Ok(socket) => live(socket, entered),
        // The parent sees the socket end, and that its child said nothing.
        Err(_) => exit::now(FAILED),
    }
}

/// Lives as what the parent at the other end of the socket wants this new process to be, and ends.
fn live(socket: OwnedFd, entered: Entered) -> ! {
    match prepare(entered).and_then(|()| next(&line_on(&socket), "its settings")) {
        Ok(frame) if frame.kind == kind::SERVE => {
            drop(socket);
            match server::serve(frame.fds, entered) {
                Ok(child) => begin(child, None, entered),
                // The owner sees that it is gone.
                Err(_) => exit::now(FAILED),
            }
        }
        Ok(frame) => begin(socket, Some(frame), entered),
        Err(error) => process::exit(perform::fail(&line_on(&socket), &error)),
    }
}

/// Makes good what a process lacks that std has not started, for itself or for those that will be forked from it.
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

/// Lives as the child, from its birth on.
fn begin(socket: OwnedFd, birth: Option<Frame>, entered: Entered) -> ! {
    let line = line_on(hold(socket));
    let arrived = arrive(&line, birth, entered);
    // By now it has its environment, which says where the profile goes.
    profile::begin();
    let status = match arrived {
        Ok((entry, arguments)) => perform::run(&line, entry, arguments),
        Err(error) => perform::fail(&line, &error),
    };
    process::exit(status)
}
