//! Panics of a child: what the hook sees, kept until it is known whether the panic ends the process.

use super::{backtrace, line};
use crate::{
    start::message::{
        panic::{Location, Panic},
        reply,
    },
    sys::{room, signal::Fuse},
    wire::Line,
};
use std::{
    any::Any,
    backtrace::Backtrace,
    cell::RefCell,
    fmt,
    io::{self, Write},
    panic::{self, PanicHookInfo},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

/// A panic as the hook saw it, its backtrace not yet resolved: that takes long, and the panic may be caught.
pub(super) struct Seen {
    panic: Panic,
    backtrace: Option<Backtrace>,
}

/// How long a limited process may take to report a panic. Code that finds no memory there may wait for a lock that its own thread
/// holds.
const REPORT: Duration = Duration::from_secs(10);

thread_local! {
    /// The panic that this thread saw last.
    static LAST: RefCell<Option<Seen>> = const { RefCell::new(None) };
}

impl Seen {
    fn new(info: &PanicHookInfo<'_>, has_room: bool) -> Self {
        let location = info.location().map(|location| Location {
            file: location.file().to_owned(),
            line: location.line(),
            column: location.column(),
        });
        Self {
            panic: Panic {
                message: message(info.payload()),
                location,
                backtrace: None,
            },
            backtrace: has_room.then(backtrace::capture).flatten(),
        }
    }

    /// Tells the parent: first of the panic, then how it came about, which may fail.
    pub(super) fn tell(self, line: &Line<'_>) {
        // Nobody is left to be told if the parent does not listen.
        let _ = reply::send_panicked(line, &self.panic);
        let Some(backtrace) = self.backtrace else {
            return;
        };
        let _fuse = fuse();
        if !room::is_limited() || room::is_there_for_a_backtrace() {
            let _ = reply::send_backtrace(line, &backtrace::resolve(&backtrace));
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.panic.fmt(f)
    }
}

/// Ends this process if reporting a panic never ends. Where memory has no limit nothing of that kind is known, and a hook of the
/// user's may take its time.
fn fuse() -> Option<Fuse> {
    room::is_limited().then(|| Fuse::new(REPORT).ok()).flatten()
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
        let _fuse = fuse();
        // Capturing one takes memory, and a lock that std takes again when there is none.
        let has_room = !room::is_limited() || room::is_there_for_a_backtrace();
        notice(info, has_room);
        if has_room || !backtrace::is_printed() {
            before(info);
        } else {
            print(info);
        }
    }));
}

/// Prints what std would, without the backtrace that there is no memory for.
fn print(info: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let name = thread.name().unwrap_or("<unnamed>");
    // As std does, where it cannot be written.
    let _ = writeln!(
        io::stderr(),
        "\nthread '{name}' {info}\nnote: no backtrace, since its memory is nearly used up"
    );
}

fn notice(info: &PanicHookInfo<'_>, has_room: bool) {
    let seen = Seen::new(info, has_room);
    // A thread that is being torn down has no such place any more, and no panic of it ends the process.
    let Ok(before) = LAST.try_with(RefCell::take) else {
        return;
    };
    let fatal = match before {
        Some(before) if is_last_word(&seen.panic.message) => before,
        _ if cfg!(panic = "abort") => seen,
        _ => {
            // The same holds here.
            let _ = LAST.try_with(|last| last.replace(Some(seen)));
            return;
        }
    };
    if let Some(line) = line::line() {
        fatal.tell(&line);
    }
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
pub(super) fn caught(payload: &(dyn Any + Send)) -> Seen {
    let message = message(payload);
    // A hook of the program's own may have taken the place of ours, which then has seen another panic or none.
    // A copy of a process that was made at the very end of a thread has no such place any more.
    let last = LAST.try_with(RefCell::take).unwrap_or_default();
    last.filter(|seen| seen.panic.message == message)
        .unwrap_or(Seen {
            panic: Panic {
                message,
                location: None,
                backtrace: None,
            },
            backtrace: None,
        })
}

fn message(payload: &dyn Any) -> String {
    let string = payload.downcast_ref::<String>().map(String::as_str);
    string
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("Box<dyn Any>")
        .to_owned()
}
