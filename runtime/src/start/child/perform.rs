//! The function of a child: reports to the parent that it is reached, runs it, and sends its
//! result.

use super::{
    hook,
    line::{FAILED, is_child, line},
    stage, tell,
};
use crate::{
    call::{Answer, Entry, Outcome, perform},
    error::{Error, ErrorKind, Result},
    start::message::failure::Failure,
    sys::{abort, room, segment::Width},
    wire::{Incoming, Line, Outgoing, Sink},
};
use std::{cell::RefCell, io, mem};

/// The exit status of a child whose function panicked. A Rust program has the same status if its
/// `main` panics.
const PANICKED: i32 = 101;

/// Tells the parent that the function runs next. The function is responsible for whatever happens
/// from here on.
pub(super) fn reached() -> Result<()> {
    if let Some(line) = line() {
        tell::reached(&line).map_err(|source| Error::os("its parent is gone", source))?;
    }
    stage::reach();
    room::keep_reserve();
    // The system may have refused memory before. The function is not responsible for that.
    abort::forget();
    Ok(())
}

/// Sends the value to the parent. A copy of this process that a bare `fork` has made in the
/// function sends nothing.
#[derive(Debug)]
struct Telling<'l> {
    line: &'l Line<'l>,
    /// Whether the value could be sent.
    sent: RefCell<io::Result<()>>,
}

impl Sink for Telling<'_> {
    fn send(&self, width: Width, bytes: &[u8]) -> io::Result<()> {
        if is_child() {
            tell::part(self.line, width, bytes);
        }
        Ok(())
    }
}

impl Answer for Telling<'_> {
    fn give(&self, value: Outgoing<'_>) {
        if is_child() {
            *self.sent.borrow_mut() = tell::returned(self.line, &value);
        }
    }
}

/// Runs the function and sends its result to the parent. Returns the exit status.
pub(super) fn run(line: &Line<'_>, entry: Entry, mut arguments: Incoming) -> i32 {
    let telling = Telling {
        line,
        sent: RefCell::new(Ok(())),
    };
    let outcome = perform(entry, &mut arguments, &telling);
    if !is_child() {
        // This is a copy that a bare `fork` has made in the function. It sends nothing to the
        // parent.
        return match outcome {
            Outcome::Answered | Outcome::Failed(_) => 0,
            Outcome::Panicked(payload) => {
                mem::forget(payload);
                PANICKED
            }
        };
    }
    if !stage::has_reached() {
        return match outcome {
            Outcome::Answered => fail(
                line,
                &Error::new(ErrorKind::Decode, "its arguments were not asked for"),
            ),
            Outcome::Failed(error) => fail(line, &error),
            Outcome::Panicked(payload) => {
                let panic = hook::caught(&*payload);
                // Dropping a payload runs the user's code, which could panic again.
                mem::forget(payload);
                fail(line, &stage::panicked(panic.panic()))
            }
        };
    }
    // If sending fails below, the parent does not listen any more: it has given up the value, or is
    // dead. That is no failure of this process.
    match outcome {
        Outcome::Answered => {
            if let Err(source) = telling.sent.into_inner() {
                let error = Error::os("the output cannot be sent", source);
                let _ = tell::unsendable(line, &Failure::of(&error));
            }
            0
        }
        Outcome::Failed(error) => {
            let _ = tell::unsendable(line, &Failure::of(&error));
            0
        }
        Outcome::Panicked(payload) => {
            hook::caught(&*payload).tell(line);
            mem::forget(payload);
            PANICKED
        }
    }
}

/// Tells the parent why the function will not be reached. Returns the exit status.
pub(super) fn fail(line: &Line<'_>, error: &Error) -> i32 {
    // If the parent is gone, there is no one to tell.
    let _ = tell::failed(line, &Failure::of(error));
    FAILED
}
