//! A panic, as the child reports it.

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
#[derive(Clone, Debug)]
pub struct Panic {
    pub(in crate::start) message: String,
    pub(in crate::start) location: Option<Location>,
    pub(in crate::start) backtrace: Option<String>,
}

#[derive(Clone, Debug)]
pub(in crate::start) struct Location {
    pub(in crate::start) file: String,
    pub(in crate::start) line: u32,
    pub(in crate::start) column: u32,
}

crate::wire::as_tuple!(Panic {
    message,
    location,
    backtrace
});
crate::wire::as_tuple!(Location { file, line, column });

impl Panic {
    /// Returns the message that `panic!` was given.
    ///
    /// If the payload is not a string (see [`panic_any`](std::panic::panic_any)), returns
    /// `Box<dyn Any>`.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the source file. Returns `None` if a panic hook of the program's own did not call
    /// ours.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.location.as_ref().map(|location| &*location.file)
    }

    /// Returns the line in the file, counted from one. Returns `None` where [`file`](Self::file)
    /// does.
    #[must_use]
    pub fn line(&self) -> Option<u32> {
        self.location.as_ref().map(|location| location.line)
    }

    /// Returns the column in the line, counted from one. Returns `None` where [`file`](Self::file)
    /// does.
    #[must_use]
    pub fn column(&self) -> Option<u32> {
        self.location.as_ref().map(|location| location.column)
    }

    /// Returns the backtrace, from the panic down to the function of the process.
    ///
    /// Returns `None` in these cases:
    ///
    /// - No backtrace was asked for. [`Builder::backtrace`](crate::Builder::backtrace) decides
    ///   about that. If it was not called, `RUST_BACKTRACE` and `RUST_LIB_BACKTRACE` in the
    ///   environment of the process decide.
    /// - A panic hook of the program's own did not call ours.
    /// - The memory of the process is limited, and there is no room for the symbols.
    ///
    /// The child finds the names of the functions after the panic, which takes tens of
    /// milliseconds.
    #[must_use]
    pub fn backtrace(&self) -> Option<&str> {
        self.backtrace.as_deref()
    }

    /// Adds the backtrace, which arrives in a message of its own.
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
