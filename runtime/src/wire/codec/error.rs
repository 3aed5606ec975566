//! The error of a value that cannot be written or read.

use serde::{de, ser};
use std::{error, fmt, io};

/// The error of the format. It is a pointer in size, since every step of serde returns it.
#[derive(Debug)]
pub(super) struct Error(Box<Cause>);

#[derive(Debug)]
enum Cause {
    /// The message of serde, or of a type's own code.
    Said(String),
    /// The error of a system call.
    Os(io::Error),
}

pub(super) type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(super) fn said(what: impl fmt::Display) -> Self {
        Self(Box::new(Cause::Said(what.to_string())))
    }

    /// Returns the cause. A system error keeps its errno.
    pub(super) fn into_cause(self) -> Box<dyn error::Error + Send + Sync> {
        match *self.0 {
            Cause::Os(error) => Box::new(error),
            Cause::Said(what) => what.into(),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self(Box::new(Cause::Os(error)))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Cause::Said(what) => f.write_str(what),
            Cause::Os(error) => error.fmt(f),
        }
    }
}

impl error::Error for Error {}

impl ser::Error for Error {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self::said(what)
    }
}

impl de::Error for Error {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self::said(what)
    }
}
