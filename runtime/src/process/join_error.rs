//! How a process ended that did not hand back a value.

use super::life::Life;
use crate::{
    error::{Error, ErrorKind},
    start::Panic,
    sys::{sentinel::Usage, signal},
};
use std::{error, fmt, io, os::unix::process::ExitStatusExt, process::ExitStatus, time::Duration};

/// Why a process that was joined has no value to give.
///
/// [`kind`](Self::kind) tells the cases apart, and [`ran`](Self::ran) whether the function may have had effects. When several things
/// happened, a value that arrived wins over everything, then a panic (once its unwinding is over), then a limit that was reached (memory, timeout), then a kill
/// by this process, then the exit status.
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
    usage: Option<Usage>,
    ran: Ran,
    cause: Cause,
}

pub(super) enum Cause {
    Panicked(Panic),
    Exited,
    Signalled,
    TimedOut(Duration),
    Killed,
    /// With the limit on the address space, if there was one.
    OutOfMemory(Option<u64>),
    /// With the limit.
    CpuTimeExceeded(Duration),
    Unsendable(Error),
    Undecodable(Error),
    Taken,
    Os(io::Error),
}

/// Whether the function of a process has run: what [`JoinError::ran`] returns.
///
/// A function that has not begun had no effects, and can be run again by another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ran {
    /// It never began.
    No,
    /// It began, and what came of it is not known: the process ended in the middle, or after it.
    Maybe,
    /// It ran to its end: to a value that did not get here, or to a panic.
    Yes,
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
    /// It used up its [`timeout`](crate::Builder::timeout), and was killed for that.
    TimedOut,
    /// It aborted after the system had refused it memory, as it does at a [`memory_limit`](crate::Builder::memory_limit).
    ///
    /// Rust aborts when an allocation fails, and leaves the error number `ENOMEM`; so do the usual allocators of C. A process that is
    /// killed because the whole machine has no memory left is [`Signalled`](Self::Signalled), by SIGKILL.
    OutOfMemory,
    /// It used up its [`cpu_time_limit`](crate::Builder::cpu_time_limit).
    CpuTimeExceeded,
    /// It was killed by a signal that this process sent.
    Killed,
    /// Its function has returned a value that could not be encoded there, or not be sent from there.
    Unsendable,
    /// Its function has returned a value that could not be decoded here.
    Undecodable,
    /// Its value has been given out already.
    Taken,
    /// The system refused to wait for it or to receive its value; or it is a child of the process
    /// that this one is a copy of. The source is an [`io::Error`].
    ///
    /// Where this process has no descriptor left for what comes with the value (`EMFILE`), the
    /// value stays: [`Child::value`](crate::Child::value),
    /// [`try_join`](crate::Child::try_join) and [`join_timeout`](crate::Child::join_timeout) can
    /// get it later.
    Os,
}

impl JoinError {
    pub(super) fn new(life: &Life, status: Option<ExitStatus>, cause: Cause) -> Self {
        let ran = match cause {
            Cause::Panicked(_) | Cause::Unsendable(_) | Cause::Undecodable(_) | Cause::Taken => {
                Ran::Yes
            }
            _ if life.reached => Ran::Maybe,
            _ => Ran::No,
        };
        Self(Box::new(Inner {
            name: life.name.clone(),
            id: life.id(),
            status,
            usage: life.usage(),
            ran,
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
            Cause::OutOfMemory(_) => JoinErrorKind::OutOfMemory,
            Cause::CpuTimeExceeded(_) => JoinErrorKind::CpuTimeExceeded,
            Cause::Unsendable(_) => JoinErrorKind::Unsendable,
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

    /// Returns whether the function of the process has run, and may have had effects.
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::{Builder, JoinErrorKind, Ran, process};
    /// use std::time::Duration;
    ///
    /// #[process]
    /// fn pay(_amount: u32) {}
    ///
    /// let late = Builder::new().timeout(Duration::ZERO).spawn(pay::new(100))?;
    /// let error = late.join().unwrap_err();
    /// assert_eq!((error.kind(), error.ran()), (JoinErrorKind::TimedOut, Ran::No));
    /// # Ok::<(), procession::Error>(())
    /// ```
    #[must_use]
    pub fn ran(&self) -> Ran {
        self.0.ran
    }

    /// Returns the most memory that the process had resident at one time, in bytes (`ru_maxrss` of
    /// [getrusage(2)](https://man7.org/linux/man-pages/man2/getrusage.2.html)). `None` if somebody else has reaped it.
    ///
    /// The kernel counts from before the process has memory of its own: what this process had resident at the start is the least
    /// that a child by [`Spawn`](crate::StartMethod::Spawn) or [`Fork`](crate::StartMethod::Fork) has.
    #[must_use]
    pub fn peak_memory(&self) -> Option<u64> {
        Some(self.0.usage?.peak_memory)
    }

    /// Returns how much CPU time the process used, in user mode and in the kernel. `None` if somebody else has reaped it.
    #[must_use]
    pub fn cpu_time(&self) -> Option<Duration> {
        Some(self.0.usage?.cpu_time)
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
            .field("ran", &self.0.ran)
            .field("message", &format_args!("{self}"))
            .field("source", &error::Error::source(self))
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
            Cause::OutOfMemory(limit) => {
                f.write_str("aborted after it had been refused memory")?;
                if let Some(limit) = limit {
                    write!(f, ": it was limited to {limit} bytes of address space")?;
                }
                match self.peak_memory() {
                    Some(peak) => write!(f, " (at most {peak} bytes were resident)"),
                    None => Ok(()),
                }
            }
            Cause::CpuTimeExceeded(limit) => {
                write!(f, "used up its limit of {limit:?} of CPU time")?;
                match signal.as_deref() {
                    Some(signal) => write!(f, " and was killed by {signal}"),
                    None => Ok(()),
                }
            }
            Cause::Unsendable(_) => f.write_str("returned a value that cannot be sent"),
            Cause::Undecodable(_) => f.write_str("returned a value that cannot be decoded"),
            Cause::Taken => f.write_str("has given out its value already"),
            Cause::Os(_) => f.write_str("cannot be joined here"),
        }
    }
}

impl error::Error for JoinError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.0.cause {
            Cause::Unsendable(source) | Cause::Undecodable(source) => Some(source),
            Cause::Os(source) => Some(source),
            _ => None,
        }
    }
}

impl Error {
    /// Returns how the process ended, if this error was converted from a [`JoinError`](crate::JoinError).
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::{Error, JoinErrorKind, process};
    ///
    /// #[process]
    /// fn leave() {
    ///     std::process::exit(3)
    /// }
    ///
    /// fn run() -> Result<(), Error> {
    ///     Ok(leave::spawn()?.join()?)
    /// }
    ///
    /// let error = run().unwrap_err();
    /// assert_eq!(error.join_error().map(|error| error.kind()), Some(JoinErrorKind::Exited));
    /// ```
    #[must_use]
    pub fn join_error(&self) -> Option<&JoinError> {
        self.get_ref()?.downcast_ref()
    }
}

impl From<JoinError> for Error {
    fn from(error: JoinError) -> Self {
        Self::whole(ErrorKind::Join, error)
    }
}

impl From<JoinError> for io::Error {
    fn from(error: JoinError) -> Self {
        let kind = match error.kind() {
            JoinErrorKind::TimedOut => io::ErrorKind::TimedOut,
            JoinErrorKind::Undecodable | JoinErrorKind::Unsendable => io::ErrorKind::InvalidData,
            JoinErrorKind::OutOfMemory => io::ErrorKind::OutOfMemory,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
