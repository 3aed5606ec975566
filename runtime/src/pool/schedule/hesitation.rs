//! How long a worker has not claimed what it was offered.

use super::terms::Moment;
use std::time::Duration;

/// How long a worker may leave offers unclaimed in all, without a claim in between, before it is
/// killed.
pub(super) const UNRESPONSIVE: Duration = Duration::from_secs(5);

/// What a worker does about the tasks that it is offered.
#[derive(Debug)]
pub(super) struct Stall {
    pub(super) stage: Wait,
    /// Since when it has an offer and runs nothing.
    pub(super) since: Moment,
    /// How long it has left earlier offers unclaimed since its last claim.
    pub(super) before: Duration,
    /// Whether it has claimed or answered a task since it was sorted.
    pub(super) has_moved: bool,
    /// Whether it has let the time pass. Others are preferred until it claims a task.
    pub(super) is_slow: bool,
}

/// How long a worker has an offer that it does not claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// It has no offer, or it runs a task.
    Not,
    Short,
    /// The driver was asked to look whether it has claimed the offer.
    Looked,
    Long,
}

impl Stall {
    pub(super) const NOT: Self = Self {
        stage: Wait::Not,
        since: Moment::ZERO,
        before: Duration::ZERO,
        has_moved: false,
        is_slow: false,
    };

    /// Returns when a worker that waits has to be killed.
    pub(super) fn over_at(&self) -> Moment {
        self.since
            .saturating_add(UNRESPONSIVE.saturating_sub(self.before))
    }
}
