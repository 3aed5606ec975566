//! How far this process has come on the way to its function.

use crate::{
    error::{Error, ErrorKind},
    start::message::panic::Panic,
};
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

/// Whether this process has reached its function.
static REACHED: AtomicBool = AtomicBool::new(false);

/// The name of the function under `#[procession::init]` that runs now.
static INIT: Mutex<Option<&str>> = Mutex::new(None);

/// Begins anew, in a copy of a process that may have reached its function.
pub(super) fn begin() {
    REACHED.store(false, Ordering::Relaxed);
    run_init(None);
}

/// Notes that a function under `#[procession::init]` runs next, or that none does.
pub(super) fn run_init(name: Option<&'static str>) {
    *INIT.lock().unwrap_or_else(PoisonError::into_inner) = name;
}

/// Notes that the function of this process runs next.
pub(super) fn reach() {
    REACHED.store(true, Ordering::Relaxed);
}

pub(super) fn has_reached() -> bool {
    REACHED.load(Ordering::Relaxed)
}

/// Returns the error that a panic has kept this process from its function.
pub(super) fn panicked(panic: &Panic) -> Error {
    // This may run in the hook, on any thread. The lock is held for an instant only.
    match INIT.try_lock().ok().and_then(|init| *init) {
        Some(name) => Error::new(ErrorKind::Init, format!("`{name}` {panic}")),
        None => Error::new(ErrorKind::Decode, format!("decoding its arguments {panic}")),
    }
}
