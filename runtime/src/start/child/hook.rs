//! Panics of a child. The hook keeps what it sees until it is known whether the panic ends the
//! process.

use super::{backtrace, line, stage, tell};
use crate::{
    start::message::{
        failure::Failure,
        panic::{Location, Panic},
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

/// A panic as the hook saw it. Its backtrace is not resolved yet: that takes long, and the panic
/// may be caught.
pub(super) struct Seen {
    panic: Panic,
    backtrace: Option<Backtrace>,
}

/// How long a process with limited memory may take to report a panic. Code that gets no memory
/// there may wait for a lock that its own thread holds.
const REPORT: Duration = Duration::from_secs(10);

thread_local! {
    /// The last panic of this thread.
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

    pub(super) fn panic(&self) -> &Panic {
        &self.panic
    }

    /// Sends the panic to the parent. The backtrace follows in a message of its own, since
    /// resolving it may fail.
    pub(super) fn tell(self, line: &Line<'_>) {
        // If this fails, the parent does not listen, and there is no one else to report the panic
        // to.
        let _ = tell::panicked(line, &self.panic);
        let Some(backtrace) = self.backtrace else {
            return;
        };
        let _fuse = fuse();
        if !room::is_limited() || room::is_there_for_a_backtrace() {
            let _ = tell::backtrace(line, &backtrace::resolve(&backtrace));
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.panic.fmt(f)
    }
}

/// Returns a fuse that ends this process if reporting a panic never ends. Returns `None` if memory
/// has no limit: nothing is known to hang then, and a hook of the user's may take its time.
fn fuse() -> Option<Fuse> {
    room::is_limited().then(|| Fuse::new(REPORT).ok()).flatten()
}

/// Installs a hook that notes every panic. It then calls the hook that was there before, which
/// prints the panic.
pub(super) fn watch() {
    // A copy of a process has the hook and this flag from it.
    static WATCHED: AtomicBool = AtomicBool::new(false);
    if !WATCHED.swap(true, Ordering::Relaxed) {
        watch_again();
    }
}

/// Does what [`watch`] does, after code of the user's that may have set a hook of its own. If the
/// hook of this crate is still there, it is called twice, and the second call notes the same panic.
pub(super) fn watch_again() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let _fuse = fuse();
        room::free_reserve();
        // Capturing a backtrace takes memory. It also takes a lock, which std takes again if there
        // is no memory.
        let has_room = !room::is_limited() || room::is_there_for_a_backtrace();
        notice(info, has_room);
        if has_room || !backtrace::is_printed() {
            before(info);
        } else {
            print(info);
        }
    }));
}

/// Prints what std would print, except for the backtrace, for which there is no memory.
fn print(info: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let name = thread.name().unwrap_or("<unnamed>");
    // std ignores this error too.
    let _ = writeln!(
        io::stderr(),
        "\nthread '{name}' {info}\nnote: no backtrace, since its memory is nearly used up"
    );
}

fn notice(info: &PanicHookInfo<'_>, has_room: bool) {
    let seen = Seen::new(info, has_room);
    // A thread that is being torn down has no thread-locals any more. Its panics do not end the
    // process.
    let Ok(before) = LAST.try_with(RefCell::take) else {
        return;
    };
    let fatal = match before {
        Some(before) if is_last_word(&seen.panic.message) => before,
        _ if cfg!(panic = "abort") => seen,
        _ => {
            // As above.
            let _ = LAST.try_with(|last| last.replace(Some(seen)));
            return;
        }
    };
    if let Some(line) = line::line() {
        if stage::has_reached() {
            fatal.tell(&line);
        } else {
            // If this fails, the parent does not listen.
            let _ = tell::failed(&line, &Failure::of(&stage::panicked(&fatal.panic)));
        }
    }
}

/// Whether no unwinding follows this panic, even if panics unwind. `core` panics with these
/// messages when a panic meets another one in a destructor, or when it reaches the edge of a
/// function that must not unwind. The panic to report is the one before.
fn is_last_word(message: &str) -> bool {
    matches!(
        message,
        "panic in a destructor during cleanup" | "panic in a function that cannot unwind"
    )
}

/// Returns the panic that was caught with this payload.
pub(super) fn caught(payload: &(dyn Any + Send)) -> Seen {
    let message = message(payload);
    // `last` may be another panic, or `None`:
    //
    // - A hook of the program's own may have replaced ours, which then has not seen this panic.
    // - A copy of a process that was made at the very end of a thread has no thread-locals any
    //   more.
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

/// Returns the panic that was caught with this payload, with its backtrace if that was asked for.
/// The process goes on.
#[cfg(feature = "pool")]
pub(crate) fn caught_by_a_worker(payload: &(dyn Any + Send)) -> Panic {
    let Seen { panic, backtrace } = caught(payload);
    match backtrace {
        Some(backtrace) if !room::is_limited() || room::is_there_for_a_backtrace() => {
            panic.with_backtrace(backtrace::resolve(&backtrace))
        }
        _ => panic,
    }
}

fn message(payload: &dyn Any) -> String {
    let string = payload.downcast_ref::<String>().map(String::as_str);
    string
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("Box<dyn Any>")
        .to_owned()
}
