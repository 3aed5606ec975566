//! The error of a process that ended without handing back a value.

use super::life::Life;
use crate::{
    error::{Error, ErrorKind},
    start::Panic,
    sys::{sentinel::Usage, signal},
};
use std::{error, fmt, io, process::ExitStatus, sync::Arc, time::Duration};

/// Why joining a process returned no value.
///
/// [`kind`](Self::kind) tells the cases apart. [`ran`](Self::ran) says whether the function may
/// have had effects. If several things happened, the first of these decides:
///
/// 1. a value that arrived
/// 2. a panic, once its unwinding is over
/// 3. a limit that was reached (memory, timeout, CPU time)
/// 4. a kill by this process
/// 5. the exit status
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
/// let id = error.id();
/// assert_eq!(
///     error.to_string(),
///     format!("process `give_up-1` (pid {id}) exited with status 3 and without a value")
/// );
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
    /// The job of a pool that the error is about.
    job: Option<JobInfo>,
}

/// What an error says of a job of a pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JobInfo {
    pub(crate) id: u64,
    pub(crate) function: &'static str,
    /// How often it was begun.
    pub(crate) attempts: u32,
    /// Whether it has cost as many workers as a job may cost.
    pub(crate) is_set_aside: bool,
}

pub(crate) enum Cause {
    Panicked(Panic),
    Exited,
    Signalled,
    TimedOut(Duration),
    Killed,
    /// Contains the limit on the address space, if there was one.
    OutOfMemory(Option<u64>),
    /// Contains the limit.
    CpuTimeExceeded(Duration),
    Unsendable(Error),
    Undecodable(Error),
    Taken,
    Os(io::Error),
    /// The arguments of a job did not arrive.
    Arguments(Error),
    Cancelled,
    PoolClosed,
    /// No worker could be started, for this reason.
    NoWorker(Option<Arc<Error>>),
}

/// Whether the function of a process has run, as [`JoinError::ran`] returns it.
///
/// A function that has not begun had no effects, so another process can run it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ran {
    /// The function never began.
    No,
    /// It began. Whether it finished is not known: the process ended in the middle of the function
    /// or after it.
    Maybe,
    /// It ran to its end: to a panic, or to a value that did not arrive here.
    Yes,
}

/// The ways in which a process can end without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JoinErrorKind {
    /// The function panicked: [`JoinError::panic`] has the message and the place.
    Panicked,
    /// The process called `exit` or `_exit`: [`JoinError::status`] has the status, unless somebody
    /// else has reaped the process.
    Exited,
    /// The process was killed by a signal that this process did not send: see
    /// [`JoinError::signal`].
    Signalled,
    /// The process used up its [`timeout`](crate::Builder::timeout) and was killed for that.
    TimedOut,
    /// The process aborted after the system had refused it memory, for example because of its
    /// [`memory_limit`](crate::Builder::memory_limit).
    ///
    /// If an allocation fails, Rust aborts and leaves the error number `ENOMEM`, and so do the
    /// usual allocators of C. A process that is killed because the whole machine has no memory left
    /// is [`Signalled`](Self::Signalled), by SIGKILL.
    OutOfMemory,
    /// The process used up its [`cpu_time_limit`](crate::Builder::cpu_time_limit).
    CpuTimeExceeded,
    /// The process was killed by a signal that this process sent.
    Killed,
    /// The function returned a value that the child could not encode or send.
    Unsendable,
    /// The function returned a value that this process could not decode.
    Undecodable,
    /// The value has been returned already.
    Taken,
    /// The system refused to wait for the process or to receive its value, or this process is a
    /// forked copy of the process's parent. The source is an [`io::Error`].
    ///
    /// If this process has no descriptors left for those that come with the value (`EMFILE`), the
    /// value is not lost: [`Child::value`](crate::Child::value),
    /// [`try_join`](crate::Child::try_join) and [`join_timeout`](crate::Child::join_timeout) can
    /// get it later.
    Os,
    /// The arguments of a job of a pool could not be encoded, or could not be decoded by the
    /// worker.
    Arguments,
    /// The job was cancelled before it began, or before it began again.
    Cancelled,
    /// The pool was closed or terminated before the job began.
    PoolClosed,
    /// The pool could start no worker for the job: the source says why. Its initializer may have
    /// failed.
    NoWorker,
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
            job: None,
        }))
    }

    /// Returns the error of a job whose worker has answered, or that no worker has begun. `worker`
    /// is the name and the id of the worker.
    #[cfg(feature = "pool")]
    pub(crate) fn of_job(job: JobInfo, (name, id): (String, u32), cause: Cause) -> Self {
        let ran = match cause {
            Cause::Panicked(_) | Cause::Unsendable(_) | Cause::Undecodable(_) | Cause::Taken => {
                Ran::Yes
            }
            _ if job.attempts == 0 => Ran::No,
            Cause::Arguments(_) if job.attempts == 1 => Ran::No,
            _ => Ran::Maybe,
        };
        Self(Box::new(Inner {
            name,
            id,
            status: None,
            usage: None,
            ran,
            cause,
            job: Some(job),
        }))
    }

    /// Makes the error of a worker that was lost the error of its job. With a cause, this pool has
    /// ended the worker.
    #[cfg(feature = "pool")]
    pub(crate) fn for_job(mut self, job: JobInfo, cause: Option<Cause>) -> Self {
        if let Some(cause) = cause {
            self.0.cause = cause;
        }
        if !matches!(self.0.cause, Cause::Panicked(_)) {
            self.0.ran = Ran::Maybe;
        }
        self.0.job = Some(job);
        self
    }

    /// Notes that the job has cost as many workers as a job may cost.
    #[cfg(feature = "pool")]
    pub(crate) fn set_aside(mut self) -> Self {
        if let Some(job) = &mut self.0.job {
            job.is_set_aside = true;
        }
        self
    }

    /// Returns the number of the job that the error is about, if it is one of a pool:
    /// `Job::id` returns the same.
    #[must_use]
    pub fn job(&self) -> Option<u64> {
        self.0.job.map(|job| job.id)
    }

    /// Returns how often the job was begun, if it is one of a pool. It was begun more than once
    /// only if the pool was asked to try it again.
    #[must_use]
    pub fn attempts(&self) -> Option<u32> {
        self.0.job.map(|job| job.attempts)
    }

    /// Returns whether the job was set aside because it had cost as many workers as
    /// `poison_after` allows.
    #[must_use]
    pub fn is_set_aside(&self) -> bool {
        self.0.job.is_some_and(|job| job.is_set_aside)
    }

    /// Returns how the process ended.
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
            Cause::Arguments(_) => JoinErrorKind::Arguments,
            Cause::Cancelled => JoinErrorKind::Cancelled,
            Cause::PoolClosed => JoinErrorKind::PoolClosed,
            Cause::NoWorker(_) => JoinErrorKind::NoWorker,
        }
    }

    /// Returns the name of the process. For a job that no worker has begun it is the name of the
    /// pool.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns the id that the process had. For a job that no worker has begun it is 0.
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

    /// Returns the exit status of the process, or `None` if somebody else has reaped it.
    #[must_use]
    #[doc(alias = "exitcode")]
    pub fn status(&self) -> Option<ExitStatus> {
        self.0.status
    }

    /// Returns the signal that killed the process, or `None` if no signal did.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        signal::that_ended(self.0.status?)
    }

    /// Returns whether the function of the process has run and may have had effects.
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
    /// [getrusage(2)](https://man7.org/linux/man-pages/man2/getrusage.2.html)). Returns `None` if
    /// somebody else has reaped the process.
    ///
    /// The kernel begins to count before the process has memory of its own. So for a child by
    /// [`Spawn`](crate::StartMethod::Spawn) or [`Fork`](crate::StartMethod::Fork), the result is at
    /// least what this process had resident at the start of the child.
    #[must_use]
    pub fn peak_memory(&self) -> Option<u64> {
        Some(self.0.usage?.peak_memory)
    }

    /// Returns the CPU time that the process used, in user mode and in the kernel. Returns `None`
    /// if somebody else has reaped the process.
    #[must_use]
    pub fn cpu_time(&self) -> Option<Duration> {
        Some(self.0.usage?.cpu_time)
    }

    /// Returns whether the process left a core dump.
    #[must_use]
    pub fn core_dumped(&self) -> bool {
        self.0.status.is_some_and(signal::has_dumped_core)
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
        if let Some(job) = self.0.job {
            write!(f, "job {} (`{}`) in ", job.id, job.function)?;
        }
        if self.0.job.is_some() && self.0.id == 0 {
            write!(f, "pool `{}` ", self.0.name)?;
        } else {
            write!(f, "process `{}` (pid {}) ", self.0.name, self.0.id)?;
        }
        self.cause(f)?;
        match self.0.job {
            Some(job) if job.is_set_aside => {
                write!(f, ", and is set aside after {} attempts", job.attempts)
            }
            Some(job) if job.attempts > 1 && !matches!(self.0.cause, Cause::Cancelled) => {
                write!(f, " (attempt {})", job.attempts)
            }
            _ => Ok(()),
        }
    }
}

impl JoinError {
    fn cause(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signal = self.signal().map(signal::name);
        match &self.0.cause {
            Cause::Panicked(panic) => write!(f, "{panic}"),
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
            Cause::Arguments(_) => f.write_str("did not get its arguments"),
            Cause::Cancelled if self.attempts() > Some(0) => {
                f.write_str("was cancelled before it began again")
            }
            Cause::Cancelled => f.write_str("was cancelled before it began"),
            Cause::PoolClosed => f.write_str("was not begun before the pool was closed"),
            Cause::NoWorker(None) => f.write_str("found no worker, since none can be started"),
            Cause::NoWorker(Some(reason)) => {
                write!(
                    f,
                    "found no worker, since none can be started: {}",
                    last(reason)
                )
            }
        }
    }
}

/// Returns the last source of an error, or the error.
fn last<'e>(error: &'e (dyn error::Error + 'static)) -> &'e (dyn error::Error + 'static) {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last
}

impl error::Error for JoinError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.0.cause {
            Cause::Unsendable(source) | Cause::Undecodable(source) | Cause::Arguments(source) => {
                Some(source)
            }
            Cause::NoWorker(source) => source.as_ref().map(|source| source as _),
            Cause::Os(source) => Some(source),
            _ => None,
        }
    }
}

impl Error {
    /// Returns how the process ended, if this error was converted from a
    /// [`JoinError`](crate::JoinError).
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
            JoinErrorKind::Undecodable | JoinErrorKind::Unsendable | JoinErrorKind::Arguments => {
                io::ErrorKind::InvalidData
            }
            JoinErrorKind::OutOfMemory => io::ErrorKind::OutOfMemory,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
