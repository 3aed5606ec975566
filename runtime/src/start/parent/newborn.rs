//! A newborn: a process on its way to its function, as its parent knows it.

use super::{helper::Request, ward::Ward};
use crate::{
    error::{Error, ErrorKind, Result},
    start::patience::{LAST_BREATH, MARGIN, STALL},
    sys::{
        fd::{AsFd, OwnedFd},
        sentinel::Sentinel,
        signal, socket, wait,
    },
    wire::{Line, Look, Watch},
};
use std::{io, sync::OnceLock, time::Instant};

/// A process that has not reached its function yet. Dropping it kills and reaps the process.
#[derive(Debug)]
pub(super) struct Newborn {
    /// `None` after it was given away.
    socket: Option<OwnedFd>,
    /// Not set at first if a helper makes the process: its id is not known yet.
    ward: OnceLock<Ward>,
    request: Option<Request>,
    /// When its time is over. `None` means never.
    deadline: Option<Instant>,
    /// Whether it was forked before it was needed.
    is_spare: bool,
}

impl Watch for Newborn {
    fn look(&self) -> Look {
        match (self.ward(), &self.request) {
            (Ok(ward), request) => {
                let socket = self.socket.as_ref().map(AsFd::as_fd);
                if socket.is_some_and(|socket| socket::is_read(socket).unwrap_or(false)) {
                    // The process has received everything, and decodes its arguments: that runs the
                    // user's code.
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

/// Why a process that a helper was asked for cannot be used.
#[derive(Debug)]
pub(super) enum Unborn {
    /// There is neither a child nor an error: the helper has not forked it yet, or has died before
    /// it did.
    Lost,
    /// The child was there, and ended before it got its birth.
    Gone,
    /// This process has changed so much that a child of the helper cannot become one of its
    /// children.
    Stale,
    /// It cannot be found out what has changed in this process.
    Unknown,
    /// The child, or the helper that was to make it, is stopped. No code of the user's has run.
    Stopped,
    /// The helper could not fork.
    Refused(io::Error),
    /// Anything else that failed.
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
    /// Makes a newborn of a process that this process has made itself.
    pub(super) fn made(ward: Ward, socket: OwnedFd) -> Self {
        Self {
            socket: Some(socket),
            ward: OnceLock::from(ward),
            request: None,
            deadline: None,
            is_spare: false,
        }
    }

    /// Makes a newborn of a process that a helper has been asked for.
    pub(super) fn requested(request: Request, socket: OwnedFd) -> Self {
        Self {
            socket: Some(socket),
            ward: OnceLock::new(),
            request: Some(request),
            deadline: None,
            is_spare: false,
        }
    }

    /// Returns the child. Fails with [`Unborn::Lost`] if its id is not known yet.
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

    /// Whether the process is known to have ended.
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
            // The process ends itself when its time is over, if it can.
            until: self
                .deadline
                .and_then(|deadline| deadline.checked_add(MARGIN)),
            watch: Some(self),
        }
    }

    /// Notes that the process was forked before it was needed.
    pub(super) fn was_spare(&mut self) {
        self.is_spare = true;
    }

    /// Whether the process was forked before it was needed.
    pub(super) fn is_spare(&self) -> bool {
        self.is_spare
    }

    /// Sets when the time of the process is over.
    pub(super) fn reach_by(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    /// Whether the time of the process is over.
    pub(super) fn is_over(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Kills the process. If the helper has not made it yet, kills the helper.
    pub(super) fn kill(&self) {
        match (self.ward(), &self.request) {
            // The child is ours and has not been reaped. If it has gained rights, so that this
            // fails, dropping it closes its socket too.
            (Ok(ward), _) => drop(ward.sentinel().signal(signal::SIGKILL)),
            (Err(_), Some(request)) => request.helper().kill(),
            (Err(_), None) => {}
        }
    }

    /// Returns the request, if a helper was asked for the process.
    pub(super) fn request(&self) -> Option<&Request> {
        self.request.as_ref()
    }

    /// Gives the process and its socket to the caller, who must look after them.
    pub(super) fn grow_up(mut self) -> Result<(Sentinel, OwnedFd), Unborn> {
        self.ward()?;
        let ward = self.ward.take().expect("it is known by now");
        let socket = self.socket.take().expect("it is taken out here only");
        Ok((ward.give_away(), socket))
    }

    /// Waits for the end of a process that has said why it ends, for a bounded time.
    pub(super) fn await_end(&self) {
        if let Ok(ward) = self.ward() {
            ward.await_end(LAST_BREATH);
        }
    }

    /// Returns the error that the process ended without a message. Fails if there never was a
    /// process.
    pub(super) fn ended_early(&self) -> Result<Error, Unborn> {
        let how = match self.ward()?.await_end(LAST_BREATH) {
            None => String::new(),
            Some(status) => match (status.code(), signal::that_ended(status)) {
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
            // If there will be a child, it reads the end of the line and ends. If there will be
            // none, the other end of the socket gets closed. The socket becomes readable in both
            // cases.
            let _ = socket::end_sending(socket.as_fd());
            let over = || wait::readable(socket.as_fd(), wait::deadline(LAST_BREATH));
            if !matches!(over(), Ok(true)) {
                // The helper is stopped, or too slow to be of use.
                request.helper().kill();
                let _ = over();
            }
        }
        // If the child is known by now, this stores its ward. The ward is a field of this value,
        // which is being dropped: that kills and reaps the child.
        let _ = self.ward();
    }
}
