//! Points at which the tests of this folder stop or kill a process. There is one before each change
//! that other processes can see. They exist in test builds only.

/// A point at which a test can stop or kill this process.
macro_rules! step {
    () => {
        #[cfg(test)]
        $crate::channel::step::reach();
    };
}

#[cfg(test)]
pub(super) use armed::{arm, disarm, reach};

#[cfg(test)]
mod armed {
    use nix::sys::signal::{Signal, raise};
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    /// How many points are left until this process raises the signal. Zero means that it raises
    /// none.
    static LEFT: AtomicU64 = AtomicU64::new(0);
    static SIGNAL: AtomicU64 = AtomicU64::new(0);

    /// Makes this process raise the signal when it reaches point number `point`, counted from one.
    pub(in crate::channel) fn arm(point: u64, signal: Signal) {
        SIGNAL.store(u64::from((signal as i32).unsigned_abs()), Relaxed);
        LEFT.store(point, Relaxed);
    }

    /// Cancels the signal. Returns whether it was still pending.
    pub(in crate::channel) fn disarm() -> bool {
        LEFT.swap(0, Relaxed) > 0
    }

    pub(in crate::channel) fn reach() {
        let left = LEFT.load(Relaxed);
        if left == 0 {
            return;
        }
        LEFT.store(left - 1, Relaxed);
        if left == 1 {
            let signal = i32::try_from(SIGNAL.load(Relaxed)).unwrap_or_default();
            raise(Signal::try_from(signal).expect("it is a signal")).expect("it can be raised");
        }
    }
}
