//! The backtrace of a panic: whether the user wants one, and which of its frames are the user's.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    env,
    fmt::Write,
    sync::atomic::{AtomicU8, Ordering},
};

/// What [`Builder::backtrace`](crate::Builder::backtrace) says about this process.
static WANTED: AtomicU8 = AtomicU8::new(ASK);

const ASK: u8 = 0;
const NEVER: u8 = 1;
const ALWAYS: u8 = 2;

/// Sets whether panics of this process have a backtrace. If `None`, the environment decides.
pub(in crate::start) fn want(backtrace: Option<bool>) {
    let wanted = match backtrace {
        None => ASK,
        Some(false) => NEVER,
        Some(true) => ALWAYS,
    };
    WANTED.store(wanted, Ordering::Relaxed);
}

/// Captures the stack of this thread, if a backtrace is wanted. [`resolve`] finds the names of the
/// functions later.
pub(super) fn capture() -> Option<Backtrace> {
    let backtrace = match WANTED.load(Ordering::Relaxed) {
        NEVER => return None,
        ALWAYS => Backtrace::force_capture(),
        _ => Backtrace::capture(),
    };
    (backtrace.status() == BacktraceStatus::Captured).then_some(backtrace)
}

/// Whether std prints a backtrace with the message of a panic.
pub(super) fn is_printed() -> bool {
    env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0")
}

/// Finds the names of the functions. Leaves out the frames that are not the user's: those of the
/// panic itself, and those that start the process.
pub(super) fn resolve(backtrace: &Backtrace) -> String {
    let text = backtrace.to_string();
    let mut frames: Vec<String> = Vec::new();
    for line in text.lines() {
        match (number(line), frames.last_mut()) {
            (Some(name), _) => frames.push(name.to_owned()),
            (None, Some(frame)) => {
                frame.push('\n');
                frame.push_str(line);
            }
            (None, None) => {}
        }
    }
    let mut text = String::new();
    for (number, frame) in users(&frames).iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{number:4}: {frame}");
    }
    text
}

/// Returns the rest of a line that begins a frame, such as `   7: name`.
fn number(line: &str) -> Option<&str> {
    let (number, name) = line.split_once(": ")?;
    number.trim_start().parse::<u32>().ok()?;
    Some(name)
}

/// Returns the frames between the panic and the start of the process. Returns all frames if neither
/// is found, for example if there are no symbols.
fn users(frames: &[String]) -> &[String] {
    let is = |frame: &String, names: &[&str]| names.iter().any(|name| frame.contains(name));
    let end = frames
        .iter()
        .position(|frame| is(frame, &["__rust_begin_short_backtrace"]))
        .unwrap_or(frames.len());
    let frames = &frames[..end];
    let raised = frames
        .iter()
        .rposition(|frame| is(frame, &["rust_begin_unwind", "std::panicking::begin_panic"]))
        .map_or(0, |place| place + 1);
    let frames = &frames[raised..];
    let core = frames
        .iter()
        .position(|frame| !is(frame, &["core::panicking::", "std::panic::panic_any"]))
        .unwrap_or(frames.len());
    let frames = &frames[core..];
    let ours = frames.iter().rposition(|frame| {
        !is(
            frame,
            &["Call>::__run", "core::ops::function::", "procession::"],
        )
    });
    &frames[..ours.map_or(0, |place| place + 1)]
}

#[cfg(test)]
mod tests {
    use super::users;

    #[test]
    fn frames_of_the_user_are_left() {
        let frames = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let all = frames(&[
            "std::backtrace_rs::trace",
            "procession::start::child::hook::Seen::new",
            "__rustc[1]::rust_begin_unwind",
            "core::panicking::panic_fmt",
            "core::panicking::panic_bounds_check",
            "app::inner",
            "app::task",
            "<app::task as procession::process::definition::Call>::__run",
            "procession::call::perform::__rust_begin_short_backtrace",
            "main",
        ]);
        assert_eq!(users(&all), frames(&["app::inner", "app::task"]));
        let unknown = frames(&["<unknown>", "<unknown>"]);
        assert_eq!(users(&unknown), unknown);
        assert_eq!(users(&[]), frames(&[]));
    }
}
