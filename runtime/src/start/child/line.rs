//! The line from this process to its parent, if this process is a child.

use super::tell;
use crate::{
    error::{Error, Result},
    sys::{
        abort, exit,
        fd::{AsFd, OwnedFd},
    },
    wire::{Frame, Line},
};
use std::{
    process,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

/// The exit status of a child that did not reach its function.
pub(in crate::start) const FAILED: i32 = 1;

/// The socket to the parent. If a child makes a copy of itself that is a child too, the copy stores
/// its own socket.
static SOCKET: Mutex<Option<&'static OwnedFd>> = Mutex::new(None);
/// The id of this process, if it is a child. A copy of it that a bare `fork` has made has another
/// id, and sends nothing to the parent.
static CHILD: AtomicU32 = AtomicU32::new(0);
/// Returns the line to the parent, or `None` if this process is no child.
pub(super) fn line() -> Option<Line<'static>> {
    let socket = *SOCKET.lock().unwrap_or_else(PoisonError::into_inner);
    socket.filter(|_| is_child()).map(line_on)
}

/// Whether this process is the child that was started, and not a copy of it.
pub(super) fn is_child() -> bool {
    CHILD.load(Ordering::Relaxed) == process::id()
}

/// Returns a line without a time limit. A child has nothing to do but wait for its parent, and the
/// end of the parent ends the wait.
pub(super) fn line_on(socket: &OwnedFd) -> Line<'_> {
    Line::on(socket.as_fd())
}

/// Keeps the socket for as long as this process lives.
pub(super) fn hold(socket: OwnedFd) -> &'static OwnedFd {
    let socket: &'static OwnedFd = Box::leak(Box::new(socket));
    *SOCKET.lock().unwrap_or_else(PoisonError::into_inner) = Some(socket);
    CHILD.store(process::id(), Ordering::Relaxed);
    tell::begin();
    abort::tell(socket.as_fd(), &tell::OUT_OF_MEMORY);
    socket
}

/// Receives the next frame of the parent. If the parent is gone, ends this process: there is no one
/// to report to.
pub(super) fn next(line: &Line<'_>, what: &str) -> Result<Frame> {
    match line.receive() {
        Ok(Some(frame)) => Ok(frame),
        Ok(None) => exit::now(FAILED),
        Err(source) => Err(Error::os(format!("{what} cannot be received"), source)),
    }
}
