//! The lifeline: a pipe that only the parent holds open, and whose end the kernel answers by killing the daemon.
//!
//! Nothing is ever written to it. It is tied to the process and not to the thread that spawned, needs no thread to watch it,
//! and works whatever the daemon blocks or does. A daemon that execs, or closes descriptors it does not own, has left it.

use crate::{
    error::{Error, Result},
    sys::{exit, lifeline, wait},
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Instant,
};

/// Makes one: the daemon's end, and the parent's.
pub(super) fn make() -> Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) =
        io::pipe().map_err(|source| Error::os("no pipe for its lifeline", source))?;
    Ok((reader.into(), writer.into()))
}

/// Ties this process to its parent; ends it if the parent is gone already.
pub(super) fn tie(pipe: OwnedFd) -> io::Result<()> {
    lifeline::arm(pipe.as_fd())?;
    if is_cut(pipe.as_fd())? {
        exit::now(0);
    }
    // It stays open for as long as this process lives.
    std::mem::forget(pipe);
    Ok(())
}

fn is_cut(pipe: BorrowedFd<'_>) -> io::Result<bool> {
    wait::readable(pipe, Some(Instant::now()))
}
