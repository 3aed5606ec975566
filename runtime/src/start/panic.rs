//! Panics of a child: what the hook sees, kept until it is known whether the panic ends the process.

use super::{child, reply};
use serde::{Deserialize, Serialize};
use std::{
    any::Any,
    backtrace::Backtrace,
    cell::RefCell,
    fmt,
    panic::{self, PanicHookInfo},
    sync::atomic::{AtomicBool, Ordering},
};

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
/// assert!(panic.line().is_some() && panic.backtrace().is_some());
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Panic {
    message: String,
    location: Option<Location>,
    backtrace: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Location {
    file: String,
    line: u32,
    column: u32,
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

    /// Returns the backtrace, whatever `RUST_BACKTRACE` says, unless the program's own panic hook kept ours from seeing it.
    #[must_use]
    pub fn backtrace(&self) -> Option<&str> {
        self.backtrace.as_deref()
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

/// A panic as the hook saw it, its backtrace not yet resolved: that is dear, and the panic may be caught.
struct Seen {
    message: String,
    location: Option<Location>,
    backtrace: Backtrace,
}

thread_local! {
    /// The panic that this thread saw last.
    static LAST: RefCell<Option<Seen>> = const { RefCell::new(None) };
}

impl Seen {
    fn new(info: &PanicHookInfo<'_>) -> Self {
        let location = info.location().map(|location| Location {
            file: location.file().to_owned(),
            line: location.line(),
            column: location.column(),
        });
        Self {
            message: message(info.payload()),
            location,
            backtrace: Backtrace::force_capture(),
        }
    }

    fn resolve(self) -> Panic {
        Panic {
            message: self.message,
            location: self.location,
            backtrace: Some(self.backtrace.to_string()),
        }
    }
}

/// Has every panic noticed before the hook that is there now, which goes on to print it.
pub(super) fn watch() {
    // A copy of a process that does so does so too.
    static WATCHED: AtomicBool = AtomicBool::new(false);
    if WATCHED.swap(true, Ordering::Relaxed) {
        return;
    }
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        notice(info);
        before(info);
    }));
}

fn notice(info: &PanicHookInfo<'_>) {
    let seen = Seen::new(info);
    // A thread that is being torn down has no such place any more, and no panic of it ends the process.
    let Ok(before) = LAST.try_with(RefCell::take) else {
        return;
    };
    let fatal = match before {
        Some(before) if is_last_word(&seen.message) => before,
        _ if cfg!(panic = "abort") => seen,
        _ => {
            // The same holds here.
            let _ = LAST.try_with(|last| last.replace(Some(seen)));
            return;
        }
    };
    // Nobody is left to be told if the parent does not listen.
    let _ = child::line().map(|line| reply::send_panicked(&line, &fatal.resolve()));
}

/// Whether no unwinding follows this panic, also where panics unwind: it is what `core` says when a panic meets another in a
/// destructor, or the edge of a function that must not unwind. The panic of interest is the one before.
fn is_last_word(message: &str) -> bool {
    matches!(
        message,
        "panic in a destructor during cleanup" | "panic in a function that cannot unwind"
    )
}

/// Returns the panic that was caught with this payload.
pub(super) fn caught(payload: &(dyn Any + Send)) -> Panic {
    let message = message(payload);
    // A hook of the program's own may have taken the place of ours, which then has seen another panic or none.
    // A copy of a process that was made at the very end of a thread has no such place any more.
    let last = LAST.try_with(RefCell::take).unwrap_or_default();
    let last = last.filter(|seen| seen.message == message);
    last.map_or(
        Panic {
            message,
            location: None,
            backtrace: None,
        },
        Seen::resolve,
    )
}

fn message(payload: &dyn Any) -> String {
    let string = payload.downcast_ref::<String>().map(String::as_str);
    string
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("Box<dyn Any>")
        .to_owned()
}
