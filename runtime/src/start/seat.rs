//! The seat of this process in a pool, if it is a worker.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

/// Which worker of a pool this process is, and of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) index: usize,
    pub(crate) count: usize,
}

static SEAT: Mutex<Option<Seat>> = Mutex::new(None);

/// Whether this worker wants another process to take its seat.
static WANTS_REST: AtomicBool = AtomicBool::new(false);

/// Returns the seat of this process, or `None` if it is no worker.
pub(crate) fn seat() -> Option<Seat> {
    *SEAT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes this process the worker of a pool, or no worker: a copy of a worker is none.
pub(crate) fn take_seat(seat: Option<Seat>) {
    *SEAT.lock().unwrap_or_else(PoisonError::into_inner) = seat;
    WANTS_REST.store(false, Ordering::Relaxed);
}

/// Notes that this worker wants another process to take its seat.
pub(crate) fn want_rest() {
    WANTS_REST.store(true, Ordering::Relaxed);
}

pub(crate) fn wants_rest() -> bool {
    WANTS_REST.load(Ordering::Relaxed)
}
