//! A panic, as the child tells of it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A panic that ended a process.
///
/// # Examples
///
/// ```
/// use procession::process;
///
/// #[process]
/// fn divide(a: u32, b: u32) -> u32 {
///     a / b
/// }
///
/// let error = divide::spawn(1, 0)?.join().unwrap_err();
/// let panic = error.panic().expect("it panicked");
/// assert_eq!(panic.message(), "attempt to divide by zero");
/// assert!(panic.line().is_some());
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Panic {
    pub(in crate::start) message: String,
    pub(in crate::start) location: Option<Location>,
    pub(in crate::start) backtrace: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::start) struct Location {
    pub(in crate::start) file: String,
    pub(in crate::start) line: u32,
    pub(in crate::start) column: u32,
}

impl Panic {
    /// Returns what `panic!` was given.
    ///
    /// A payload that is not a string, as [`panic_any`](std::panic::panic_any) takes, has no message but its kind.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the source file, unless the program's own panic hook kept ours from seeing it.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.location.as_ref().map(|location| &*location.file)
    }

    /// Returns the line in the file, counted from one.
    #[must_use]
    pub fn line(&self) -> Option<u32> {
        self.location.as_ref().map(|location| location.line)
    }

    /// Returns the column in the line, counted from one.
    #[must_use]
    pub fn column(&self) -> Option<u32> {
        self.location.as_ref().map(|location| location.column)
    }

    /// Returns the backtrace, from the panic down to the function of the process, if one was asked for: by
    /// [`Builder::backtrace`](crate::Builder::backtrace), or else by `RUST_BACKTRACE` or `RUST_LIB_BACKTRACE` in the environment of
    /// the process. Finding the names takes tens of milliseconds.
    ///
    /// There is also none where the program's own panic hook kept ours from seeing the panic, or a limited memory has no room for
    /// the symbols.
    #[must_use]
    pub fn backtrace(&self) -> Option<&str> {
        self.backtrace.as_deref()
    }

    /// Adds a backtrace, which is told after the rest.
    pub(crate) fn with_backtrace(self, backtrace: String) -> Self {
        Self {
            backtrace: Some(backtrace),
            ..self
        }
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("panicked")?;
        if let Some(Location { file, line, column }) = &self.location {
            write!(f, " at {file}:{line}:{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}
