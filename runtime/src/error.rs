//! The error type of this crate, and the kinds of its errors.

use crate::sys::{self, errno};
use std::{borrow::Cow, error, fmt, io};

/// A [`Result`](std::result::Result) whose error is an [`Error`], unless another type is given.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a process could not be started, or why another request failed.
///
/// A *running* process that ends without a value is described by a [`JoinError`](crate::JoinError).
/// It converts into this type, so that one `?` works for both.
///
/// [`Display`](fmt::Display) says what was tried and with which process.
/// [`source`](error::Error::source) is the cause, usually an [`io::Error`] with the errno.
///
/// An error that was converted from another error displays as that error does and has the same
/// source, so a chain of errors repeats no sentence. [`join_error`](Self::join_error) and
/// [`get_ref`](Self::get_ref) return that other error.
///
/// # Examples
///
/// ```
/// use procession::{Builder, ErrorKind, process};
///
/// #[process]
/// fn task() {}
///
/// let lost = Builder::new().name("lost").current_dir("/nowhere");
/// let error = lost.spawn(task::new()).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Setting);
/// assert_eq!(
///     error.to_string(),
///     "cannot start process `lost`: its working directory cannot be set to /nowhere"
/// );
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    process: Option<Cow<'static, str>>,
    what: Cow<'static, str>,
    source: Source,
}

pub(crate) type Boxed = Box<dyn error::Error + Send + Sync>;

/// The error behind an [`Error`].
enum Source {
    None,
    /// The cause of the failure.
    Cause(Boxed),
    /// The error that this error was converted from. This error stands for it.
    Whole(Boxed),
}

/// The kind of failure that an [`Error`] reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The current process is a daemon, or may not have children for another reason: see
    /// [`Builder::may_have_children`](crate::Builder::may_have_children).
    DaemonicChildren,
    /// An argument, or a descriptor in an argument, could not be encoded.
    Encode,
    /// The receiver could not decode what arrived.
    Decode,
    /// The executable cannot be started again: `/proc` is not mounted, or the file is not
    /// executable.
    Executable,
    /// This process has more than one thread, so the [`Fork`](crate::StartMethod::Fork) start
    /// method cannot copy it.
    MultipleThreads,
    /// The function is not part of the main executable: it is in a shared library, or the program
    /// was started through the dynamic loader.
    NotInExecutable,
    /// The executable is set-user-ID, set-group-ID or has file capabilities, or this process has
    /// privileges from such a file. Executing it again would regain privileges that were dropped.
    Privileged,
    /// The system has reached its limit of processes or threads (`EAGAIN` of fork(2) and similar
    /// calls).
    TooManyProcesses,
    /// The descriptor table of this process or of the system is full (`EMFILE`, `ENFILE`).
    TooManyFiles,
    /// The system has no memory left (`ENOMEM`).
    OutOfMemory,
    /// A setting of the [`Builder`](crate::Builder) could not be applied.
    Setting,
    /// A function under [`#[procession::init]`](macro@crate::init) failed in the child.
    Init,
    /// The child ended before it reached its function.
    EndedEarly,
    /// The other side made no progress before the time limit.
    TimedOut,
    /// A message is longer than the buffer that was to receive it.
    BufferTooShort,
    /// The other side is gone: nobody can send, or nobody can receive.
    Disconnected,
    /// The process ended without a value: see [`Error::join_error`].
    Join,
    /// The function of the process returned an error: [`Error::get_ref`] returns it.
    Returned,
    /// A connection could not be made or used: [`Error::get_ref`] returns the error of the module
    /// `net`.
    Connection,
    /// This crate does not support the operating system: see the [limits](crate#limits).
    Unsupported,
    /// The operating system refused anything else: the source is an [`io::Error`].
    Os,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, what: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            process: None,
            what: what.into(),
            source: Source::None,
        }))
    }

    /// Returns the error of a system call. Its kind follows from the errno.
    pub(crate) fn os(what: impl Into<Cow<'static, str>>, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        Self::new(kind_of(&source), what).because(source)
    }

    /// Returns the error of a system call that makes a process or a thread. Such a call returns
    /// `EAGAIN` if there are too many.
    pub(crate) fn making(what: impl Into<Cow<'static, str>>, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        let kind = match source.raw_os_error() {
            Some(errno::EAGAIN) => ErrorKind::TooManyProcesses,
            _ => kind_of(&source),
        };
        Self::new(kind, what).because(source)
    }

    /// Returns an error that stands for another error, and displays as that error does.
    pub(crate) fn whole(kind: ErrorKind, error: impl Into<Boxed>) -> Self {
        let mut whole = Self::new(kind, "");
        whole.0.source = Source::Whole(error.into());
        whole
    }

    pub(crate) fn because(mut self, source: impl Into<Boxed>) -> Self {
        self.0.source = Source::Cause(source.into());
        self
    }

    /// Names the process that was to be started, unless the error names one already.
    pub(crate) fn starting(mut self, process: &str) -> Self {
        self.0
            .process
            .get_or_insert_with(|| process.to_owned().into());
        self
    }

    /// Returns the kind of failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the errno behind this error, if there is one.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        self.behind()?.downcast_ref::<io::Error>()?.raw_os_error()
    }

    /// Returns the error that this error was converted from: a [`JoinError`](crate::JoinError), an
    /// [`io::Error`], the error that a function returned as a [`RemoteError`](crate::RemoteError),
    /// or an error of the module `net`. Returns `None` if this error was not converted from another
    /// error.
    #[must_use]
    pub fn get_ref(&self) -> Option<&(dyn error::Error + Send + Sync + 'static)> {
        match &self.0.source {
            Source::Whole(error) => Some(&**error),
            Source::None | Source::Cause(_) => None,
        }
    }

    fn behind(&self) -> Option<&(dyn error::Error + Send + Sync + 'static)> {
        match &self.0.source {
            Source::Whole(error) | Source::Cause(error) => Some(&**error),
            Source::None => None,
        }
    }
}

fn kind_of(source: &io::Error) -> ErrorKind {
    match source.raw_os_error() {
        Some(errno::EMFILE | errno::ENFILE | errno::ETOOMANYREFS) => ErrorKind::TooManyFiles,
        Some(errno::ENOMEM) => ErrorKind::OutOfMemory,
        _ if !sys::IS_SUPPORTED && source.kind() == io::ErrorKind::Unsupported => {
            ErrorKind::Unsupported
        }
        _ => ErrorKind::Os,
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Error");
        text.field("kind", &self.0.kind);
        // An error that was converted shows its message as part of `source`.
        if self.get_ref().is_none() {
            text.field("message", &format_args!("{self}"));
        }
        text.field("source", &self.behind()).finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(process) = &self.0.process {
            write!(f, "cannot start process `{process}`: ")?;
        }
        match &self.0.source {
            Source::Whole(error) => error.fmt(f),
            Source::None | Source::Cause(_) => f.write_str(&self.0.what),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.0.source {
            Source::Whole(error) => error.source(),
            Source::Cause(error) => Some(&**error),
            Source::None => None,
        }
    }
}

impl From<io::Error> for Error {
    /// Lets `?` work for both errors in one function.
    fn from(error: io::Error) -> Self {
        Self::whole(kind_of(&error), error)
    }
}

impl From<Error> for io::Error {
    /// Keeps the whole error. The [`io::ErrorKind`] follows from the kind, or else from the I/O
    /// error behind it.
    fn from(error: Error) -> Self {
        let behind = error.behind().and_then(|error| error.downcast_ref());
        let below = behind.map(io::Error::kind);
        let kind = match error.kind() {
            ErrorKind::TimedOut => io::ErrorKind::TimedOut,
            ErrorKind::Disconnected => io::ErrorKind::BrokenPipe,
            ErrorKind::Decode => io::ErrorKind::InvalidData,
            ErrorKind::Encode | ErrorKind::BufferTooShort => io::ErrorKind::InvalidInput,
            ErrorKind::Privileged | ErrorKind::DaemonicChildren => io::ErrorKind::PermissionDenied,
            ErrorKind::NotInExecutable | ErrorKind::Unsupported => io::ErrorKind::Unsupported,
            _ => below.unwrap_or(io::ErrorKind::Other),
        };
        io::Error::new(kind, error)
    }
}
