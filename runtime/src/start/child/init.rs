//! The functions under `#[procession::init]`, which run in a child before its function.

use super::{hook, line::is_child, stage};
use crate::{
    error::{Error, ErrorKind, Result},
    sys::exit,
    wire::RemoteError,
};
use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, PoisonError},
};

/// What a function under `#[procession::init]` may return.
#[diagnostic::on_unimplemented(
    message = "a function under `#[procession::init]`, and an initializer or a finalizer of a pool, cannot return `{Self}`",
    label = "is neither `()` nor a `Result<(), E>`",
    note = "return nothing, or a `Result<(), E>` whose error is the reason why it has failed",
    note = "the error must be `Send` and `Sync`: any such error type, `Box<dyn Error + Send + Sync>`, `anyhow::Error` or text"
)]
pub trait InitOutput {
    /// Returns the error, if there is one.
    ///
    /// # Errors
    ///
    /// Fails if the function did.
    fn into_result(self) -> std::result::Result<(), RemoteError>;
}

impl InitOutput for () {
    fn into_result(self) -> std::result::Result<(), RemoteError> {
        Ok(())
    }
}

#[diagnostic::do_not_recommend]
impl<E: Into<RemoteError>> InitOutput for std::result::Result<(), E> {
    fn into_result(self) -> std::result::Result<(), RemoteError> {
        self.map_err(Into::into)
    }
}

/// One such function.
#[derive(Clone, Copy, Debug)]
struct Init {
    name: &'static str,
    run: fn() -> std::result::Result<(), RemoteError>,
}

/// All of them, in the order in which the linker has put them.
static ALL: Mutex<Vec<Init>> = Mutex::new(Vec::new());

/// Adds a function. A constructor that runs before ours calls this one.
pub fn add_init(name: &'static str, run: fn() -> std::result::Result<(), RemoteError>) {
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    all.push(Init { name, run });
}

/// Runs all of them. The first that fails is the reason why the child does not reach its function.
pub(super) fn run() -> Result<()> {
    // None of them can be added meanwhile: that is done when the program is loaded. But one of them
    // may start a process.
    let all = ALL.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for init in &all {
        stage::run_init(Some(init.name));
        // The error is made text in here, since its `Display` may panic too.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            (init.run)().map_err(|error| format!("{error:#}"))
        }));
        if !is_child() {
            // A copy of this process that a bare `fork` has made in there. The function is not its.
            exit::now(0);
        }
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => {
                let what = format!("`{}` has failed", init.name);
                return Err(Error::new(ErrorKind::Init, what).because(reason));
            }
            Err(payload) => {
                let panic = hook::caught(&*payload);
                // Dropping a payload runs the user's code, which could panic again.
                mem::forget(payload);
                return Err(stage::panicked(panic.panic()));
            }
        }
    }
    stage::run_init(None);
    if !all.is_empty() {
        hook::watch_again();
    }
    Ok(())
}
