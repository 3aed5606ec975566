//! A process on its way to its function, as its parent knows it.

use super::{helper::Request, ward::Ward};
use crate::{
    error::{Error, ErrorKind, Result},
    start::patience::{LAST_BREATH, MARGIN, STALL},
    sys::{sentinel::Sentinel, signal, socket, wait},
    wire::{Line, Look, Watch},
};
use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::ExitStatusExt,
    },
    sync::OnceLock,
    time::Instant,
};

/// A process that has not reached its function yet: dropping it ends and reaps it.
#[derive(Debug)]
pub(super) struct Newborn {
    /// None once it was given away.
    socket: Option<OwnedFd>,
    /// Not known from the first moment where it is a helper that makes the process.
    ward: OnceLock<Ward>,
    request: Option<Request>,
    /// When its time is over; `None` is never.
    deadline: Option<Instant>,
}

impl Watch for Newborn {
    fn look(&self) -> Look {
        match (self.ward(), &self.request) {
            (Ok(ward), request) => {
                let socket = self.socket.as_ref().map(AsFd::as_fd);
                if socket.is_some_and(|socket| socket::is_read(socket).unwrap_or(false)) {
                    // It has been told everything, and decodes its arguments.
                    Look::Busy
                } else if request.is_some() && ward.sentinel().is_stopped() {
                    Look::Stopped
                } else {
                    Look::Slow
                }
            }
            (Err(_), Some(request)) if request.helper().is_stopped() => Look::Stopped,
            (Err(_), _) => Look::Slow,
        }
    }
}

/// Why a process that was asked of a helper is not there.
#[derive(Debug)]
pub(super) enum Unborn {
    /// The helper died before it came to it.
    Lost,
    /// It was there, and ended before it was told what it is.
    Gone,
    /// It is a child of what this process was, and cannot be one of what it is by now.
    Stale,
    /// What this process is by now cannot be found out.
    Unknown,
    /// It, or the helper that was to make it, is stopped, before anything of the user's has run.
    Stopped,
    /// The system refused to fork.
    Refused(io::Error),
    /// It is there, and cannot be known.
    Failed(Error),
}

impl Unborn {
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Lost | Self::Gone => Error::new(
                ErrorKind::EndedEarly,
                "the helper that was to fork it has ended",
            ),
            Self::Stopped => Error::new(
                ErrorKind::EndedEarly,
                "it was stopped before it reached its function",
            ),
            Self::Stale | Self::Unknown => Error::new(
                ErrorKind::EndedEarly,
                "the helper is another process's than this one has become",
            ),
            Self::Refused(source) => Error::making("the helper cannot fork it", source),
            Self::Failed(error) => error,
        }
    }
}

impl Newborn {
    /// A process that this one has made.
    pub(super) fn made(ward: Ward, socket: OwnedFd) -> Self {
        Self {
            socket: Some(socket),
            ward: OnceLock::from(ward),
            request: None,
            deadline: None,
        }
    }

    /// A process that a helper has been asked for.
    pub(super) fn requested(request: Request, socket: OwnedFd) -> Self {
        Self {
            socket: Some(socket),
            ward: OnceLock::new(),
            request: Some(request),
            deadline: None,
        }
    }

    /// Returns the child, if it is there.
    pub(super) fn ward(&self) -> Result<&Ward, Unborn> {
        if let Some(ward) = self.ward.get() {
            return Ok(ward);
        }
        let id = match self.request.as_ref().and_then(Request::outcome) {
            None => return Err(Unborn::Lost),
            Some(outcome) => outcome.map_err(Unborn::Refused)?,
        };
        let ward = Ward::new(id, None).map_err(Unborn::Failed)?;
        Ok(self.ward.get_or_init(|| ward))
    }

    /// Whether it is known to have ended.
    pub(super) fn has_ended(&self) -> bool {
        self.ward().is_ok_and(|ward| ward.sentinel().has_ended())
    }

    pub(super) fn line(&self) -> Line<'_> {
        Line {
            socket: self
                .socket
                .as_ref()
                .expect("it is taken out by value only")
                .as_fd(),
            peer: self.ward.get().map(|ward| ward.sentinel().as_fd()),
            stall: Some(STALL),
            // It ends itself when its time is over, if it can.
            until: self
                .deadline
                .and_then(|deadline| deadline.checked_add(MARGIN)),
            watch: Some(self),
        }
    }

    /// Says when its time is over.
    pub(super) fn reach_by(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    /// Whether its time is over.
    pub(super) fn is_over(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Ends it at once, with the helper that does not come to making it.
    pub(super) fn kill(&self) {
        match (self.ward(), &self.request) {
            // It is ours and has not been reaped. If it has gained other rights, dropping it sees to the rest.
            (Ok(ward), _) => drop(ward.sentinel().signal(libc::SIGKILL)),
            (Err(_), Some(request)) => request.helper().kill(),
            (Err(_), None) => {}
        }
    }

    /// The helper that was asked for it.
    pub(super) fn request(&self) -> Option<&Request> {
        self.request.as_ref()
    }

    /// Gives it to somebody who will look after it.
    pub(super) fn grow_up(mut self) -> Result<(Sentinel, OwnedFd), Unborn> {
        self.ward()?;
        let ward = self.ward.take().expect("it is known by now");
        let socket = self.socket.take().expect("it is taken out here only");
        Ok((ward.give_away(), socket))
    }

    /// Waits a moment for a process that has said why it ends.
    pub(super) fn await_end(&self) {
        if let Ok(ward) = self.ward() {
            ward.await_end(LAST_BREATH);
        }
    }

    /// The error that it ended without a word, or that it never was.
    pub(super) fn ended_early(&self) -> Result<Error, Unborn> {
        let how = match self.ward()?.await_end(LAST_BREATH) {
            None => String::new(),
            Some(status) => match (status.code(), status.signal()) {
                (Some(code), _) => format!(", with exit status {code}"),
                (None, Some(number)) => format!(", killed by {}", signal::name(number)),
                (None, None) => String::new(),
            },
        };
        Ok(Error::new(
            ErrorKind::EndedEarly,
            format!("it ended before it reached its function{how}"),
        ))
    }
}

impl Drop for Newborn {
    fn drop(&mut self) {
        let (Some(socket), Some(request), None) = (&self.socket, &self.request, self.ward.get())
        else {
            return;
        };
        if request.outcome().is_none() {
            // The child, if there will be one, reads this end and goes; if there will be none, its socket is closed.
            let _ = socket::end_sending(socket.as_fd());
            let over = || wait::readable(socket.as_fd(), wait::deadline(LAST_BREATH));
            if !matches!(over(), Ok(true)) {
                // The helper has been stopped, or is too slow to be of use.
                request.helper().kill();
                let _ = over();
            }
        }
        // Dropped again at once, which kills and reaps it.
        let _ = self.ward();
    }
}
