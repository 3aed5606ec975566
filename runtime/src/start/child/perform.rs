//! The function of a child: that it is reached, what it comes to, and how the parent is told.

use super::{
    hook,
    line::{FAILED, is_child, line},
};
use crate::{
    error::{Error, ErrorKind, Result},
    start::message::{failure::Failure, reply},
    sys::abort,
    wire::{Entry, Incoming, Line, Outgoing},
};
use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, Ordering},
};

/// The exit status of a child whose function panicked: that of a Rust program whose `main` did.
const PANICKED: i32 = 101;

/// Whether this process has come to its function.
static REACHED: AtomicBool = AtomicBool::new(false);

/// Begins anew, in a copy of a process that may have come to its function.
pub(super) fn begin() {
    REACHED.store(false, Ordering::Relaxed);
}

/// Tells the parent that the function comes next. From here on whatever happens is the function's doing.
pub(super) fn reached() -> Result<()> {
    if let Some(line) = line() {
        reply::send_reached(&line).map_err(|source| Error::os("its parent is gone", source))?;
    }
    REACHED.store(true, Ordering::Relaxed);
    // What the system refused before is not the function's doing.
    abort::forget();
    Ok(())
}

/// Runs the function and answers with what came of it; returns the exit status.
pub(super) fn run(line: &Line<'_>, entry: Entry, mut arguments: Incoming) -> i32 {
    let mut sent = Ok(());
    let mut answer = |value: Outgoing<'_>| {
        if is_child() {
            sent = reply::send_returned(line, value);
        }
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| entry(&mut arguments, &mut answer)));
    if !is_child() {
        // What a copy comes to is its own business.
        return match outcome {
            Ok(_) => 0,
            Err(payload) => {
                mem::forget(payload);
                PANICKED
            }
        };
    }
    if !REACHED.load(Ordering::Relaxed) {
        return match outcome {
            Ok(Ok(())) => fail(
                line,
                &Error::new(ErrorKind::Decode, "its arguments were not asked for"),
            ),
            Ok(Err(error)) => fail(line, &error),
            Err(payload) => {
                let panic = hook::caught(&*payload);
                // Dropping a payload runs code of the user's, which could panic again.
                mem::forget(payload);
                fail(
                    line,
                    &Error::new(ErrorKind::Decode, format!("decoding its arguments {panic}")),
                )
            }
        };
    }
    // A parent that does not listen any more has given the value up, or is dead: that is no failure of this process.
    match outcome {
        Ok(Ok(())) => {
            if let Err(source) = sent {
                let error = Error::os("the output cannot be sent", source);
                let _ = reply::send_unsendable(line, &Failure::of(&error));
            }
            0
        }
        Ok(Err(error)) => {
            let _ = reply::send_unsendable(line, &Failure::of(&error));
            0
        }
        Err(payload) => {
            hook::caught(&*payload).tell(line);
            mem::forget(payload);
            PANICKED
        }
    }
}

/// Tells the parent why the function will not be reached; returns the exit status.
pub(super) fn fail(line: &Line<'_>, error: &Error) -> i32 {
    // If the parent is gone there is nobody to tell.
    let _ = reply::send_failed(line, &Failure::of(error));
    FAILED
}
