//! How a process ended that did not hand back a value.

use crate::{
    error::{Error, ErrorKind},
    start::Panic,
    sys::signal,
};
use std::{error, fmt, io, os::unix::process::ExitStatusExt, process::ExitStatus, time::Duration};

/// Why a process that was joined has no value to give.
///
/// [`kind`](Self::kind) tells the cases apart. When several things happened, a value that arrived wins over everything, then a
/// panic, then what this process did itself (a timeout, a kill), then the exit status.
///
/// # Examples
///
/// ```
/// use procession::{JoinErrorKind, process};
///
/// #[process]
/// fn give_up() -> u32 {
///     std::process::exit(3)
/// }
///
/// let error = give_up::spawn()?.join().unwrap_err();
/// assert_eq!(error.kind(), JoinErrorKind::Exited);
/// assert_eq!(error.status().and_then(|status| status.code()), Some(3));
/// assert_eq!(error.to_string(), format!("process `give_up-1` (pid {}) exited with status 3 and without a value", error.id()));
/// # Ok::<(), procession::Error>(())
/// ```
pub struct JoinError(Box<Inner>);

struct Inner {
    name: String,
    id: u32,
    status: Option<ExitStatus>,
    cause: Cause,
}

pub(super) enum Cause {
    Panicked(Panic),
    Exited,
    Signalled,
    TimedOut(Duration),
    Killed,
    Undecodable(Box<dyn error::Error + Send + Sync>),
    Taken,
    Os(io::Error),
}

/// The ways in which a process can end without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JoinErrorKind {
    /// Its function panicked: [`JoinError::panic`] has the message and the place.
    Panicked,
    /// It ended by `exit` or `_exit`: [`JoinError::status`] has the status, unless somebody else has reaped it.
    Exited,
    /// It was killed by a signal that did not come from here: [`JoinError::signal`].
    Signalled,
    /// It used up its [`timeout`](crate::Builder::timeout) and was killed for it.
    TimedOut,
    /// It was killed by a signal that this process sent.
    Killed,
    /// Its value could not be encoded there or decoded here.
    Undecodable,
    /// Its value has been given out already.
    Taken,
    /// The system refused to wait for it: the source is an [`io::Error`].
    Os,
}

impl JoinError {
    pub(super) fn new(name: &str, id: u32, status: Option<ExitStatus>, cause: Cause) -> Self {
        Self(Box::new(Inner {
            name: name.to_owned(),
            id,
            status,
            cause,
        }))
    }

    /// Returns in which way the process ended.
    #[must_use]
    pub fn kind(&self) -> JoinErrorKind {
        match self.0.cause {
            Cause::Panicked(_) => JoinErrorKind::Panicked,
            Cause::Exited => JoinErrorKind::Exited,
            Cause::Signalled => JoinErrorKind::Signalled,
            Cause::TimedOut(_) => JoinErrorKind::TimedOut,
            Cause::Killed => JoinErrorKind::Killed,
            Cause::Undecodable(_) => JoinErrorKind::Undecodable,
            Cause::Taken => JoinErrorKind::Taken,
            Cause::Os(_) => JoinErrorKind::Os,
        }
    }

    /// Returns the name of the process.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns the id that the process had.
    #[must_use]
    #[doc(alias = "pid")]
    pub fn id(&self) -> u32 {
        self.0.id
    }

    /// Returns the panic, if there was one.
    #[must_use]
    pub fn panic(&self) -> Option<&Panic> {
        match &self.0.cause {
            Cause::Panicked(panic) => Some(panic),
            _ => None,
        }
    }

    /// Returns the status that the process ended with; none if somebody else has reaped it.
    #[must_use]
    #[doc(alias = "exitcode")]
    pub fn status(&self) -> Option<ExitStatus> {
        self.0.status
    }

    /// Returns the signal that killed the process, if one did.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        self.0.status?.signal()
    }

    /// Returns whether the process left a core dump.
    #[must_use]
    pub fn core_dumped(&self) -> bool {
        self.0.status.is_some_and(|status| status.core_dumped())
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinError")
            .field("kind", &self.kind())
            .field("name", &self.0.name)
            .field("id", &self.0.id)
            .field("status", &self.0.status)
            .field("message", &format_args!("{self}"))
            .finish()
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process `{}` (pid {}) ", self.0.name, self.0.id)?;
        let signal = self.signal().map(signal::name);
        match &self.0.cause {
            Cause::Panicked(panic) => panic.fmt(f),
            Cause::Exited => match self.0.status.and_then(|status| status.code()) {
                Some(code) => write!(f, "exited with status {code} and without a value"),
                None => f.write_str("ended without a value, and somebody else has reaped it"),
            },
            Cause::Signalled => {
                write!(
                    f,
                    "was killed by {}",
                    signal.as_deref().unwrap_or("a signal")
                )?;
                if self.core_dumped() {
                    f.write_str(" (core dumped)")?;
                }
                Ok(())
            }
            Cause::TimedOut(timeout) => {
                write!(f, "used up its timeout of {timeout:?} and was killed")
            }
            Cause::Killed => write!(
                f,
                "was killed by {} from this process",
                signal.as_deref().unwrap_or("a signal")
            ),
            Cause::Undecodable(_) => f.write_str("returned a value that cannot be decoded"),
            Cause::Taken => f.write_str("has given out its value already"),
            Cause::Os(_) => f.write_str("cannot be waited for"),
        }
    }
}

impl error::Error for JoinError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.0.cause {
            Cause::Undecodable(source) => Some(&**source),
            Cause::Os(source) => Some(source),
            _ => None,
        }
    }
}

impl From<JoinError> for Error {
    fn from(error: JoinError) -> Self {
        Self::new(ErrorKind::Join, error.to_string()).because(error)
    }
}

impl From<JoinError> for io::Error {
    fn from(error: JoinError) -> Self {
        let kind = match error.kind() {
            JoinErrorKind::TimedOut => io::ErrorKind::TimedOut,
            JoinErrorKind::Undecodable => io::ErrorKind::InvalidData,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
