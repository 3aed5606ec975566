//! The standard streams of a child.

use crate::{
    error::{Error, Result},
    sys::{
        errno,
        fd::{AsFd, OwnedFd},
        pipe,
    },
};
use std::{fmt, io, sync::Arc};

/// Where a standard stream of a child leads. It is like [`std::process::Stdio`], but works with
/// every start method. A clone leads to the same place: to the same open file, or to a pipe of its
/// own.
///
/// # Examples
///
/// ```
/// use procession::{Builder, Stdio, process};
/// use std::io::Read;
///
/// #[process]
/// fn greet() {
///     println!("hello");
/// }
///
/// let mut child = Builder::new().stdout(Stdio::piped()).spawn(greet::new())?;
/// let mut said = String::new();
/// child.stdout.take().expect("it was piped").read_to_string(&mut said)?;
/// assert_eq!(said, "hello\n");
/// child.join()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Stdio(Kind);

#[derive(Clone)]
enum Kind {
    Null,
    Inherit,
    Piped,
    /// A clone of the `Stdio` shares it.
    Fd(Arc<OwnedFd>),
}

impl Stdio {
    /// Whether the parent gets the other end of a pipe.
    #[cfg(feature = "pool")]
    pub(crate) fn is_piped(&self) -> bool {
        matches!(self.0, Kind::Piped)
    }

    /// Leads to `/dev/null`: reading ends at once, and what is written is lost. This is the default
    /// for standard input.
    #[must_use]
    pub fn null() -> Self {
        Self(Kind::Null)
    }

    /// Leads to where the same stream of the parent leads. This is the default for standard output
    /// and standard error.
    #[must_use]
    pub fn inherit() -> Self {
        Self(Kind::Inherit)
    }

    /// Leads to a pipe. The [`Child`](crate::Child) has the other end. A pipe holds 64 KiB: who
    /// writes more waits for the reader.
    #[must_use]
    pub fn piped() -> Self {
        Self(Kind::Piped)
    }

    /// Opens what a standard stream of a child leads to.
    pub(super) fn open(self, stream: Stream) -> Result<Opened> {
        Ok(match self.0 {
            Kind::Null => Opened::default(),
            Kind::Fd(fd) => {
                let fd = Arc::try_unwrap(fd).or_else(|shared| shared.try_clone());
                let fd = fd.map_err(|source| {
                    Error::os(format!("no copy of its {stream} to be had"), source)
                })?;
                Opened {
                    theirs: Some(fd),
                    ours: None,
                }
            }
            Kind::Inherit => Opened {
                theirs: stream.of_this_process()?,
                ours: None,
            },
            Kind::Piped => {
                let (reader, writer) = pipe::make()
                    .map_err(|source| Error::os(format!("no pipe for its {stream}"), source))?;
                match stream {
                    Stream::Input => Opened {
                        theirs: Some(reader),
                        ours: Some(writer),
                    },
                    Stream::Output | Stream::Error => Opened {
                        theirs: Some(writer),
                        ours: Some(reader),
                    },
                }
            }
        })
    }
}

/// One of the three standard streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Input,
    Output,
    Error,
}

/// The two ends of a standard stream.
#[derive(Debug, Default)]
pub(super) struct Opened {
    /// The child's end. `None` means `/dev/null`.
    pub(super) theirs: Option<OwnedFd>,
    /// Our end, if the stream is a pipe.
    pub(super) ours: Option<OwnedFd>,
}

impl Stream {
    /// Returns a copy of the same stream of this process, or `None` if it is closed.
    fn of_this_process(self) -> Result<Option<OwnedFd>> {
        let copy = match self {
            Self::Input => io::stdin().as_fd().try_clone_to_owned(),
            Self::Output => io::stdout().as_fd().try_clone_to_owned(),
            Self::Error => io::stderr().as_fd().try_clone_to_owned(),
        };
        match copy {
            Ok(fd) => Ok(Some(fd)),
            Err(error) if error.raw_os_error() == Some(errno::EBADF) => Ok(None),
            Err(error) => Err(Error::os(format!("no copy of our {self} to be had"), error)),
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "standard input",
            Self::Output => "standard output",
            Self::Error => "standard error",
        })
    }
}

impl fmt::Debug for Stdio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Null => f.write_str("Stdio(null)"),
            Kind::Inherit => f.write_str("Stdio(inherit)"),
            Kind::Piped => f.write_str("Stdio(piped)"),
            Kind::Fd(fd) => f.debug_tuple("Stdio").field(fd).finish(),
        }
    }
}

impl<T: Into<OwnedFd>> From<T> for Stdio {
    /// Leads to an open file, pipe or socket.
    fn from(fd: T) -> Self {
        Self(Kind::Fd(Arc::new(fd.into())))
    }
}
