//! The line of this process to its parent, if it is a child.

use crate::{
    error::{Error, Result},
    start::message::{reply, spilled},
    sys::{abort, exit},
    wire::{Frame, Line},
};
use std::{
    os::fd::{AsFd, OwnedFd},
    process,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

/// The exit status of a child that could not come to its function.
pub(in crate::start) const FAILED: i32 = 1;

/// What this process is as a child. A copy of a child that is a child itself begins anew.
static SOCKET: Mutex<Option<&'static OwnedFd>> = Mutex::new(None);
/// The id of this process as a child. A copy of it that a bare `fork` has made has nothing to say to the parent.
static CHILD: AtomicU32 = AtomicU32::new(0);
/// The line to the parent, in a child.
pub(super) fn line() -> Option<Line<'static>> {
    let socket = *SOCKET.lock().unwrap_or_else(PoisonError::into_inner);
    socket.filter(|_| is_child()).map(line_on)
}

/// Whether this process is the child that was started, and not a copy of it.
pub(super) fn is_child() -> bool {
    CHILD.load(Ordering::Relaxed) == process::id()
}

/// The parent is waited for without limit: a child has nothing else to do, and the end of the parent ends the wait.
pub(super) fn line_on(socket: &OwnedFd) -> Line<'_> {
    Line::on(socket.as_fd())
}

/// Keeps the socket for as long as this process lives.
pub(super) fn hold(socket: OwnedFd) -> &'static OwnedFd {
    let socket: &'static OwnedFd = Box::leak(Box::new(socket));
    *SOCKET.lock().unwrap_or_else(PoisonError::into_inner) = Some(socket);
    CHILD.store(process::id(), Ordering::Relaxed);
    spilled::begin();
    abort::tell(socket.as_fd(), &reply::OUT_OF_MEMORY);
    socket
}

/// Receives the next frame of the parent. Without one there is no parent to tell, and nothing to live for.
pub(super) fn next(line: &Line<'_>, what: &str) -> Result<Frame> {
    match line.receive() {
        Ok(Some(frame)) => Ok(frame),
        Ok(None) => exit::now(FAILED),
        Err(source) => Err(Error::os(format!("{what} cannot be received"), source)),
    }
}
