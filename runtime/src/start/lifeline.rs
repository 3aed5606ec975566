//! The lifeline: a pipe whose write end only the parent holds open. When the parent ends, the
//! kernel closes that end and kills the daemon.
//!
//! Nothing is ever written to the pipe. It is tied to the parent process and not to the thread that
//! started the daemon. It needs no thread to watch it, and works whatever the daemon blocks or
//! does. A daemon that execs, or that closes descriptors which it does not own, is no longer tied.

use crate::{
    error::{Error, Result},
    sys::{
        exit,
        fd::{AsFd, BorrowedFd, OwnedFd},
        lifeline, pipe, wait,
    },
};
use std::{io, time::Instant};

/// Makes a lifeline. Returns the daemon's end and the parent's end.
pub(super) fn make() -> Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) =
        pipe::make().map_err(|source| Error::os("no pipe for its lifeline", source))?;
    Ok((reader, writer))
}

/// Ties this process to its parent. Ends this process if the parent is gone already.
pub(super) fn tie(pipe: OwnedFd) -> io::Result<()> {
    lifeline::arm(pipe.as_fd())?;
    if is_cut(pipe.as_fd())? {
        exit::now(0);
    }
    // The pipe stays open for as long as this process lives.
    std::mem::forget(pipe);
    Ok(())
}

fn is_cut(pipe: BorrowedFd<'_>) -> io::Result<bool> {
    wait::readable(pipe, Some(Instant::now()))
}
