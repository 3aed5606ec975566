//! The seat of this process in a pool, if it is a worker.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

/// Which worker of a pool this process is, and of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) index: usize,
    pub(crate) count: usize,
    /// The seed of the pool.
    pub(crate) seed: Option<u64>,
    /// Whether the pool is the one for the whole process.
    pub(crate) is_global: bool,
}

static SEAT: Mutex<Option<Seat>> = Mutex::new(None);

/// The number of the job that runs, plus one. Zero if none has begun.
static JOB: AtomicU64 = AtomicU64::new(0);

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
    JOB.store(0, Ordering::Relaxed);
}

/// Notes that a job begins.
#[cfg(feature = "pool")]
pub(crate) fn begin_job(id: u64) {
    JOB.store(id.wrapping_add(1), Ordering::Relaxed);
}

/// Returns the number of the last job that has begun.
pub(crate) fn job() -> Option<u64> {
    JOB.load(Ordering::Relaxed).checked_sub(1)
}

/// Notes that this worker wants another process to take its seat.
pub(crate) fn want_rest() {
    WANTS_REST.store(true, Ordering::Relaxed);
}

pub(crate) fn wants_rest() -> bool {
    WANTS_REST.load(Ordering::Relaxed)
}
