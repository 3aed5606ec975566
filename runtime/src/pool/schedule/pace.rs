//! How many tasks a worker is offered at once.

use std::time::Duration;

/// How much work is offered to a worker ahead, so that it need not wait for the next task.
const AHEAD: u64 = 100_000;

/// The most tasks that are offered ahead to a worker.
const DEEPEST: u32 = 128;

/// A moving average of how long tasks take, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace(Option<u64>);

impl Pace {
    pub(super) fn note(&mut self, took: Duration) {
        let took = u64::from(took.subsec_nanos()) + took.as_secs().min(1 << 20) * 1_000_000_000;
        let before = self.0.unwrap_or(took);
        self.0 = Some((before * 7 + took) / 8);
    }

    /// Returns how many tasks may be offered at once, with the one that runs.
    pub(super) fn depth(self) -> u32 {
        let Some(took) = self.0 else { return 1 };
        // A division takes longer than all else here, so it is left out for the shortest tasks.
        if took <= AHEAD / u64::from(DEEPEST) {
            return 1 + DEEPEST;
        }
        1 + u32::try_from(AHEAD / took).unwrap_or(DEEPEST).min(DEEPEST)
    }
}
