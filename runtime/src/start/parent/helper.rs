//! The helper process, as its owner knows it: started, asked, stopped.

use super::{launch, ward::Ward};
use crate::{
    error::{Error, ErrorKind, Result},
    start::{
        lifeline,
        message::{birth::kind, heritage::Heritage},
        patience::STALL,
    },
    sys::{
        board::{Board, Number},
        socket,
        standing::{self, Standing},
    },
    wire::{Line, is_end},
};
use std::{
    env, io,
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A helper of this process. Dropping it ends it, when the last child asked of it has been seen.
#[derive(Debug)]
pub(super) struct Helper {
    /// Closed before the process is waited for: it is also ended by that.
    pub(super) requests: OwnedFd,
    pub(super) process: Ward,
    pub(super) board: Board,
    /// The numbers on the board that no request uses.
    pub(super) free: Mutex<Vec<u32>>,
    /// What its owner was when it was started, and therefore what it is.
    pub(super) standing: Standing,
    pub(super) heritage: Heritage,
    /// Whether its owner could look at it.
    pub(super) was_visible: bool,
    /// The end of this process is the end of what is tied to it: the helper and its spares, also while they are stopped.
    _lifeline: OwnedFd,
}

/// One request to a helper: where the id of the child comes to stand.
#[derive(Debug)]
pub(super) struct Request {
    helper: Arc<Helper>,
    pub(super) number: u32,
}

impl Helper {
    pub(super) fn start() -> Result<Self> {
        // Where there is no /proc to read it from, there is nothing to run anew either.
        let (standing, dispositions) = standing::read().map_err(launch::refused)?;
        let heritage = Heritage::now(dispositions)?;
        let no_socket = |source| Error::os("no socket for the helper", source);
        let (ours, theirs) = socket::pair().map_err(no_socket)?;
        let (requests, served) = socket::packet_pair().map_err(no_socket)?;
        let (board, file) =
            Board::create().map_err(|source| Error::os("no memory for the helper", source))?;
        let (tie, lifeline) = lifeline::make()?;
        // The loader and the libraries are to find what they would find in this process.
        let variables: Vec<_> = env::vars_os().collect();
        let id = launch::launch(&variables, &theirs, None, None)?;
        drop(theirs);
        let process = Ward::new(id, None)?;
        let was_visible = standing::may_look_at(id);
        let fds = [served, OwnedFd::from(file), tie];
        let line = Line {
            peer: Some(process.sentinel().as_fd()),
            stall: Some(STALL),
            ..Line::on(ours.as_fd())
        };
        line.send(kind::SERVE, &[], &fds).map_err(|source| {
            let what = "the helper cannot be talked to";
            if is_end(&source) {
                // Another one may live.
                Error::new(ErrorKind::EndedEarly, what).because(source)
            } else {
                Error::os(what, source)
            }
        })?;
        Ok(Self {
            requests,
            process,
            board,
            free: Mutex::new((0..).take(Board::LENGTH).collect()),
            standing,
            heritage,
            was_visible,
            _lifeline: lifeline,
        })
    }

    fn free(&self) -> MutexGuard<'_, Vec<u32>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is stopped, and does nothing that it is asked for.
    pub(super) fn is_stopped(&self) -> bool {
        self.process.sentinel().is_stopped()
    }

    /// Ends it at once, and what it has been asked for and not begun.
    pub(super) fn kill(&self) {
        // It is ours and has not been reaped, so that cannot fail.
        let _ = self.process.sentinel().signal(libc::SIGKILL);
    }
}

impl Request {
    /// None if there are as many on the way as there are numbers.
    pub(super) fn new(helper: &Arc<Helper>) -> Option<Self> {
        let number = helper.free().pop()?;
        let request = Self {
            helper: Arc::clone(helper),
            number,
        };
        request.place().clear();
        Some(request)
    }

    fn place(&self) -> &Number {
        self.helper
            .board
            .get(self.number as usize)
            .expect("the numbers are those of the board")
    }

    /// What has become of it: the id of the child, or why there is none. None if it is still to be done, or if it will never be,
    /// since the helper has died.
    pub(super) fn outcome(&self) -> Option<io::Result<u32>> {
        self.place().outcome()
    }

    pub(super) fn helper(&self) -> &Arc<Helper> {
        &self.helper
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.helper.free().push(self.number);
    }
}
