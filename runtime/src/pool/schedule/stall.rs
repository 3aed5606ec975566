//! Workers that do not claim what they are offered: they are stopped, or wait for something.
//!
//! Claims are seen late, so a worker is looked at before it is judged. One that claims nothing for
//! a short time is *slow*: others get its tasks. One that claims nothing for a long time is killed.
//! Nothing is lost by either, because nothing had begun.

use super::{
    Schedule,
    hesitation::Wait,
    task::NONE,
    terms::{Action, Moment, NEVER, Why},
    worker::Phase,
};
use std::time::Duration;

/// How long a worker that runs nothing may leave an offer unclaimed before it is slow.
pub(super) const SLOW: Duration = Duration::from_millis(20);

/// A driver that decides later than this was stopped itself. So its workers may have been, too.
const LATE: Duration = Duration::from_secs(1);

impl Schedule {
    /// Notes whether a worker has an offer that it has not claimed.
    pub(super) fn note_stall(&mut self, index: u32, now: Moment) {
        let worker = self.crew.get_mut(index);
        let waits =
            worker.phase == Phase::Ready && worker.running == NONE && !worker.lane.is_empty();
        let stall = &mut worker.stall;
        let waited = stall.stage != Wait::Not;
        if stall.has_moved {
            (stall.has_moved, stall.is_slow) = (false, false);
            stall.before = Duration::ZERO;
            if waited {
                // It is looked after too early rather than noted here each time.
                (stall.stage, stall.since) = (Wait::Short, now);
            }
        }
        if waits != waited {
            self.change_stall(index, waits, now);
        }
    }

    fn change_stall(&mut self, index: u32, waits: bool, now: Moment) {
        let stall = &mut self.crew.get_mut(index).stall;
        if waits {
            (stall.stage, stall.since) = (Wait::Short, now);
            if self.crew.waiting.is_empty() {
                self.stall_at = NEVER;
            }
            self.stall_at = self.stall_at.min(now.saturating_add(SLOW));
        } else {
            stall.stage = Wait::Not;
            stall.before += now.saturating_sub(stall.since);
        }
        self.crew.waiting.set(index, waits);
    }

    /// Looks after the workers that have not claimed an offer for some time.
    pub(super) fn watch_stalls(&mut self, now: Moment) {
        let is_late = now.saturating_sub(self.stall_at) > LATE;
        self.stall_at = NEVER;
        let mut from = 0;
        while let Some(index) = self.crew.waiting.next(from) {
            from = index + 1;
            let stall = &mut self.crew.get_mut(index).stall;
            if is_late {
                (stall.stage, stall.since) = (Wait::Short, now);
            }
            if stall.over_at() <= now {
                self.condemn_stalled(index);
                continue;
            }
            let next = self.watch_stall(index, now);
            self.stall_at = self.stall_at.min(next);
        }
    }

    /// Returns when it is time again to look after this worker.
    fn watch_stall(&mut self, index: u32, now: Moment) -> Moment {
        let stall = &mut self.crew.get_mut(index).stall;
        let (slow_at, over_at) = (stall.since.saturating_add(SLOW), stall.over_at());
        match stall.stage {
            Wait::Short if slow_at <= now => {
                stall.stage = Wait::Looked;
                self.actions.push(Action::Look(self.crew.id(index)));
                // The next step knows what the driver has seen.
                now
            }
            Wait::Not | Wait::Short => slow_at.min(over_at),
            Wait::Looked => {
                stall.stage = Wait::Long;
                if !std::mem::replace(&mut stall.is_slow, true) {
                    self.withdraw_all(index);
                }
                self.crew.changed.insert(index);
                over_at
            }
            Wait::Long => over_at,
        }
    }

    /// Has a worker killed that has claimed nothing for too long, unless it does so meanwhile.
    fn condemn_stalled(&mut self, index: u32) {
        let phase = Phase::Condemned {
            task: None,
            why: Why::Unresponsive,
            was_tired: false,
        };
        self.crew.set_phase(index, phase);
        self.withdraw_all(index);
        self.execute(index);
    }

    /// Takes back what slow workers have had for long, if another worker can take it now. Returns
    /// whether there is something: it comes before all that is queued.
    pub(super) fn reclaim(&mut self) -> bool {
        if self.crew.slow.is_empty() || self.crew.idle.is_empty() && self.crew.open.is_empty() {
            return false;
        }
        let has_kept = |index: &u32| {
            let worker = self.crew.get(*index);
            worker.stall.stage == Wait::Long && worker.offered > 0
        };
        let found: Vec<_> = self.crew.slow.iter().filter(has_kept).collect();
        for index in &found {
            self.withdraw_all(*index);
        }
        !found.is_empty()
    }
}
