//! How long to look before going to sleep.

use crate::sys::wait;
use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// Remembers whether looking has paid lately.
///
/// Between two processors that are awake a message takes a fraction of a microsecond, and waking one takes fifty. But looking for
/// what does not come takes a processor from somebody else.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// How often it was in vain since it last paid.
    in_vain: AtomicU32,
}

/// How long it looks: about as long as going to sleep and being woken takes.
const LOOK: Duration = Duration::from_micros(50);

/// After so many times in vain it looks only now and then.
const ENOUGH: u32 = 4;

/// How seldom that is: once in so many times.
const SELDOM: u32 = 32;

impl Patience {
    /// Looks for the condition for a while; returns whether it holds.
    pub(super) fn wait(&self, condition: impl Fn() -> bool) -> bool {
        let in_vain = self.in_vain.load(Ordering::Relaxed);
        if in_vain >= ENOUGH && !in_vain.is_multiple_of(SELDOM) {
            self.in_vain
                .store(in_vain.wrapping_add(1).max(ENOUGH), Ordering::Relaxed);
            return condition();
        }
        let holds = wait::spin_until(LOOK, condition);
        let in_vain = if holds { 0 } else { in_vain.wrapping_add(1) };
        self.in_vain.store(in_vain, Ordering::Relaxed);
        holds
    }
}
