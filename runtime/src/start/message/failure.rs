//! A failure in a child: why it did not reach its function, or why it cannot send its value.

use crate::error::{Error, ErrorKind};
use std::{error::Error as _, io};

/// Why a child did not reach its function, or cannot send its value.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) what: String,
    pub(crate) errno: Option<i32>,
    pub(crate) cause: Option<String>,
}

/// The kinds of failure that a child reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    Setting,
    /// A function under `#[procession::init]` has failed.
    Init,
    Encode,
    Decode,
    /// The errno says what failed.
    Os,
}

crate::wire::as_tuple!(Failure {
    kind,
    what,
    errno,
    cause
});
crate::wire::as_name!(FailureKind {
    Setting,
    Init,
    Encode,
    Decode,
    Os
});

impl Failure {
    pub(crate) fn of(error: &Error) -> Self {
        Self {
            kind: match error.kind() {
                ErrorKind::Setting => FailureKind::Setting,
                ErrorKind::Init => FailureKind::Init,
                ErrorKind::Encode => FailureKind::Encode,
                ErrorKind::Decode => FailureKind::Decode,
                _ => FailureKind::Os,
            },
            what: error.to_string(),
            errno: error.raw_os_error(),
            cause: error.source().map(chain),
        }
    }
}

/// Returns the messages of an error and of its sources as one text.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut behind = error.source();
    while let Some(error) = behind {
        text = format!("{text}: {error}");
        behind = error.source();
    }
    text
}

impl From<Failure> for Error {
    /// Returns the error that the child had.
    fn from(failure: Failure) -> Self {
        let source = failure.errno.map(io::Error::from_raw_os_error);
        let error = match failure.kind {
            FailureKind::Setting => Self::new(ErrorKind::Setting, failure.what),
            FailureKind::Init => Self::new(ErrorKind::Init, failure.what),
            FailureKind::Encode => Self::new(ErrorKind::Encode, failure.what),
            FailureKind::Decode => Self::new(ErrorKind::Decode, failure.what),
            FailureKind::Os => {
                let unknown = || {
                    failure
                        .cause
                        .clone()
                        .map_or_else(|| io::ErrorKind::Other.into(), io::Error::other)
                };
                return Self::os(failure.what, source.unwrap_or_else(unknown));
            }
        };
        match (source, failure.cause) {
            (Some(source), _) => error.because(source),
            (None, Some(cause)) => error.because(cause),
            (None, None) => error,
        }
    }
}
