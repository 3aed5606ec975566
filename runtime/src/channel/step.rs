//! Points at which tests stop or kill a process: one before each change that others can see. Ordinary
//! builds have none of them.

/// A point at which a test can stop or kill this process.
macro_rules! step {
    () => {
        #[cfg(test)]
        $crate::channel::step::reach();
    };
}

#[cfg(test)]
pub(crate) use armed::{arm, arm_next, disarm, reach};

#[cfg(test)]
mod armed {
    use nix::sys::signal::{Signal, raise};
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

    /// How many points are left until the one where this process gets the signal; zero if it gets
    /// none.
    static LEFT: AtomicU64 = AtomicU64::new(0);
    static SIGNAL: AtomicU64 = AtomicU64::new(0);
    static IS_KILLED_NEXT: AtomicBool = AtomicBool::new(false);

    /// Has this process send the signal to itself at the point of this number, counted from one.
    pub(crate) fn arm(point: u64, signal: Signal) {
        SIGNAL.store(u64::from((signal as i32).unsigned_abs()), Relaxed);
        LEFT.store(point, Relaxed);
    }

    /// Has this process, once it goes on from the point at which it stopped, be killed at the next one.
    pub(crate) fn arm_next() {
        IS_KILLED_NEXT.store(true, Relaxed);
    }

    /// Whether the point has not been reached; it will not be any more.
    pub(crate) fn disarm() -> bool {
        LEFT.swap(0, Relaxed) > 0
    }

    pub(crate) fn reach() {
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
