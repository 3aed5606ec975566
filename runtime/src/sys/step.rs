//! Points at which tests stop or kill a process. There is one before each change that other
//! processes can see. They exist in test builds only.

/// A point at which a test can stop or kill this process. Ordinary builds have none.
#[inline]
pub(crate) fn step() {
    #[cfg(test)]
    armed::reach();
}

#[cfg(test)]
pub(crate) use armed::{arm, arm_next, disarm, send};
#[cfg(test)]
pub(crate) use nix::{sys::signal::Signal, unistd::gettid as thread};

#[cfg(test)]
mod armed {
    use nix::{
        sys::signal::{Signal, kill, raise},
        unistd::Pid,
    };
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

    /// How many points are left until this process raises the signal. Zero means that it raises
    /// none.
    static LEFT: AtomicU64 = AtomicU64::new(0);
    static SIGNAL: AtomicU64 = AtomicU64::new(0);
    static IS_KILLED_NEXT: AtomicBool = AtomicBool::new(false);

    /// Makes this process raise the signal when it reaches point number `point`, counted from one.
    pub(crate) fn arm(point: u64, signal: Signal) {
        SIGNAL.store(u64::from((signal as i32).unsigned_abs()), Relaxed);
        LEFT.store(point, Relaxed);
    }

    /// Makes this process be killed at the next point, after it has gone on from the one at which
    /// it stopped.
    pub(crate) fn arm_next() {
        IS_KILLED_NEXT.store(true, Relaxed);
    }

    /// Cancels the signal. Returns whether it was still pending.
    pub(crate) fn disarm() -> bool {
        LEFT.swap(0, Relaxed) > 0
    }

    /// Sends a signal to a process of the test, which may be gone.
    pub(crate) fn send(id: u32, signal: Signal) {
        let _ = kill(Pid::from_raw(id.cast_signed()), signal);
    }

    pub(super) fn reach() {
        let left = LEFT.load(Relaxed);
        if left == 0 {
            return;
        }
        LEFT.store(left - 1, Relaxed);
        if left == 1 {
            let signal = i32::try_from(SIGNAL.load(Relaxed)).unwrap_or_default();
            raise(Signal::try_from(signal).expect("it is a signal")).expect("it can be raised");
            if IS_KILLED_NEXT.swap(false, Relaxed) {
                arm(1, Signal::SIGKILL);
            }
        }
    }
}
