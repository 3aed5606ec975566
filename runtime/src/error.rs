//! The one error type of everything that can fail before a process runs.

use std::{borrow::Cow, error, fmt, io};

/// The result of everything that can fail before a process runs.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a process could not be started, or a request about one not be carried out.
///
/// How a *running* process ended is the business of [`JoinError`](crate::JoinError), which converts into this type, so that
/// one `?` serves for both.
///
/// [`Display`](fmt::Display) says what was tried and with which process; [`source`](error::Error::source) is the cause, most
/// often an [`io::Error`] with the errno. An error that was converted from another one displays as that one does and has its
/// source, so that a chain of errors says no sentence twice: [`join_error`](Self::join_error) and [`get_ref`](Self::get_ref) give it.
///
/// # Examples
///
/// ```
/// use procession::{Builder, ErrorKind, process};
///
/// #[process]
/// fn task() {}
///
/// let error = Builder::new().name("lost").current_dir("/nowhere").spawn(task::new()).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Setting);
/// assert_eq!(error.to_string(), "cannot start process `lost`: its working directory cannot be set to /nowhere");
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    process: Option<Cow<'static, str>>,
    what: Cow<'static, str>,
    source: Source,
}

type Boxed = Box<dyn error::Error + Send + Sync>;

/// What is behind an error.
enum Source {
    None,
    /// Why what was tried failed.
    Cause(Boxed),
    /// The error that this one was converted from, and stands for.
    Whole(Boxed),
}

/// What sort of failure an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The current process is a daemon, and daemonic processes are not allowed to have children.
    DaemonicChildren,
    /// An argument, or a descriptor in one, could not be encoded for the way.
    Encode,
    /// What arrived at the other side could not be decoded.
    Decode,
    /// The executable cannot be started again: `/proc` is not mounted, or the file may not be executed.
    Executable,
    /// This process has more than one thread, and cannot be copied by the [`Fork`](crate::StartMethod::Fork) start method.
    MultipleThreads,
    /// The function is not part of the main executable: it lives in a shared library, or the program was started by
    /// naming the dynamic loader.
    NotInExecutable,
    /// The executable is set-user-ID, set-group-ID or has file capabilities, or this process runs with privileges gained
    /// by such a file: starting it anew would regain what was dropped.
    Privileged,
    /// The system has no more processes or threads to give (`EAGAIN` of fork(2) and its kin).
    TooManyProcesses,
    /// The descriptor table of the process or of the system is full (`EMFILE`, `ENFILE`).
    TooManyFiles,
    /// The system has no more memory to give (`ENOMEM`).
    OutOfMemory,
    /// A setting of the [`Builder`](crate::Builder) could not be applied.
    Setting,
    /// The child ended before it reached its function.
    EndedEarly,
    /// The other side made no progress in time.
    TimedOut,
    /// A message is longer than the buffer it was to be received into.
    BufferTooShort,
    /// There is nobody at the other side any more who could send, or receive.
    Disconnected,
    /// The process ended otherwise than by returning: see [`Error::join_error`].
    Join,
    /// A connection could not be made or used: [`Error::get_ref`] gives the error of the module `net`.
    Connection,
    /// Anything else the operating system refused: the source is an [`io::Error`].
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

    /// The error of a system call, its kind told by the errno.
    pub(crate) fn os(what: impl Into<Cow<'static, str>>, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        Self::new(kind_of(&source), what).because(source)
    }

    /// The error of a system call that makes a process or a thread, for which `EAGAIN` means that there are too many.
    pub(crate) fn making(what: impl Into<Cow<'static, str>>, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        let kind = match source.raw_os_error() {
            Some(libc::EAGAIN) => ErrorKind::TooManyProcesses,
            _ => kind_of(&source),
        };
        Self::new(kind, what).because(source)
    }

    /// An error that stands for another one, and displays as that one does.
    pub(crate) fn whole(kind: ErrorKind, error: impl Into<Boxed>) -> Self {
        let mut whole = Self::new(kind, "");
        whole.0.source = Source::Whole(error.into());
        whole
    }

    pub(crate) fn because(mut self, source: impl Into<Boxed>) -> Self {
        self.0.source = Source::Cause(source.into());
        self
    }

    /// Names the process that was to be started, unless it is named already.
    pub(crate) fn starting(mut self, process: &str) -> Self {
        self.0
            .process
            .get_or_insert_with(|| process.to_owned().into());
        self
    }

    /// Returns what sort of failure this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the errno behind this error, if the operating system gave one.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        self.behind()?.downcast_ref::<io::Error>()?.raw_os_error()
    }

    /// Returns the error that this one was converted from: a [`JoinError`](crate::JoinError), an [`io::Error`], an error of the
    /// module `net`. `None` if it was not converted from another one.
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
        Some(libc::EMFILE | libc::ENFILE | libc::ETOOMANYREFS) => ErrorKind::TooManyFiles,
        Some(libc::ENOMEM) => ErrorKind::OutOfMemory,
        _ => ErrorKind::Os,
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Error");
        text.field("kind", &self.0.kind);
        // An error that this one stands for has its message.
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
    /// Lets `?` serve for both in one function.
    fn from(error: io::Error) -> Self {
        Self::whole(kind_of(&error), error)
    }
}

impl From<Error> for io::Error {
    /// Keeps the whole error; its [`io::ErrorKind`] is that of the I/O error behind it.
    fn from(error: Error) -> Self {
        let behind = error.behind().and_then(|error| error.downcast_ref());
        let below = behind.map(io::Error::kind);
        let kind = match error.kind() {
            ErrorKind::TimedOut => io::ErrorKind::TimedOut,
            ErrorKind::Disconnected => io::ErrorKind::BrokenPipe,
            ErrorKind::Decode => io::ErrorKind::InvalidData,
            ErrorKind::Encode | ErrorKind::BufferTooShort => io::ErrorKind::InvalidInput,
            ErrorKind::Privileged | ErrorKind::DaemonicChildren => io::ErrorKind::PermissionDenied,
            ErrorKind::NotInExecutable => io::ErrorKind::Unsupported,
            _ => below.unwrap_or(io::ErrorKind::Other),
        };
        io::Error::new(kind, error)
    }
}
