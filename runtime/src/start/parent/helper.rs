//! The helper process, as its owner knows it: how it is started, asked and ended.

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
        fd::{AsFd, OwnedFd},
        signal, socket,
        standing::{self, Standing},
    },
    wire::{Line, is_end},
};
use std::{
    env, io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// A helper of this process. The requests on their way share it. When the last owner drops it, its
/// process is ended.
#[derive(Debug)]
pub(super) struct Helper {
    /// Declared before `process`, so that it is closed before the process is waited for: the end of
    /// the socket ends the helper too.
    pub(super) requests: OwnedFd,
    pub(super) process: Ward,
    pub(super) board: Board,
    /// The indices of the numbers on the board that no request uses.
    pub(super) free: Mutex<Vec<u32>>,
    /// The standing of the owner when it started the helper. It is therefore that of the helper.
    pub(super) standing: Standing,
    pub(super) heritage: Heritage,
    /// Whether the owner could look at the helper when it had started it.
    pub(super) was_visible: bool,
    /// Whether its start was told as an event.
    was_told: AtomicBool,
    /// When this process ends, the kernel closes this, and kills the processes that are tied to it:
    /// the helper and its spares, even if they are stopped.
    _lifeline: OwnedFd,
}

/// One request to a helper. It owns the number on the board where the id of the child goes.
#[derive(Debug)]
pub(super) struct Request {
    helper: Arc<Helper>,
    pub(super) number: u32,
}

impl Helper {
    pub(super) fn start() -> Result<Self> {
        // If there is no /proc, the standing cannot be read. But then the executable cannot be run
        // anew either.
        let (standing, dispositions) = standing::read().map_err(launch::refused)?;
        let heritage = Heritage::now(dispositions)?;
        let no_socket = |source| Error::os("no socket for the helper", source);
        let (ours, theirs) = socket::pair().map_err(no_socket)?;
        let (requests, served) = socket::packet_pair().map_err(no_socket)?;
        let (board, file) =
            Board::create().map_err(|source| Error::os("no memory for the helper", source))?;
        let (tie, lifeline) = lifeline::make()?;
        // The loader and the libraries find the same variables as in this process.
        let variables: Vec<_> = env::vars_os().collect();
        let id = launch::launch(&variables, &theirs, None, None)?;
        drop(theirs);
        let process = Ward::new(id, None)?;
        let was_visible = standing::may_look_at(id);
        let fds = [served, file, tie];
        let line = Line {
            peer: Some(process.sentinel().as_fd()),
            stall: Some(STALL),
            ..Line::on(ours.as_fd())
        };
        line.send(kind::SERVE, &[], &fds).map_err(|source| {
            let what = "the helper cannot be talked to";
            if is_end(&source) {
                // This helper has ended, but another one may live.
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
            was_told: AtomicBool::new(false),
            _lifeline: lifeline,
        })
    }

    /// Whether this is the first call.
    pub(super) fn is_told_first(&self) -> bool {
        !self.was_told.swap(true, Ordering::Relaxed)
    }

    fn free(&self) -> MutexGuard<'_, Vec<u32>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the helper is stopped, and so does nothing that it is asked for.
    pub(super) fn is_stopped(&self) -> bool {
        self.process.sentinel().is_stopped()
    }

    /// Kills the helper. The requests that it has not begun are never done.
    pub(super) fn kill(&self) {
        // The helper is our child and has not been reaped, so this cannot fail.
        let _ = self.process.sentinel().signal(signal::SIGKILL);
    }
}

impl Request {
    /// Returns `None` if all numbers are in use.
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

    /// Returns the id of the child, or the error of the fork. Returns `None` if the helper has not
    /// forked yet, or has died before it did.
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
