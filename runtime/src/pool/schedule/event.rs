//! What each event changes. What follows from that is decided later, for a batch of events.
//!
//! Of all actions, only the end of a task is told here. The others are about workers, and these may
//! be gone when the batch is complete.

use super::{
    Schedule, State,
    task::{Interest, NONE, Stage},
    terms::{End, Event, Moment, NEVER, TaskId, Why, WorkerId},
    worker::Phase,
};
use std::time::Duration;

/// How often in a row workers may end before they have begun a task. Then the tasks that wait fail.
const ATTEMPTS: u32 = 5;

/// The wait after the first worker that ended before it had begun a task. It doubles with each.
const FIRST_WAIT: Duration = Duration::from_millis(10);

/// The longest of these waits. A worker that ends after a longer time is replaced at once.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How old a worker becomes at least, so that it has the time to begin a task.
const LEAST_AGE: Duration = Duration::from_millis(1);

impl Schedule {
    /// Notes what has happened, and when it was seen.
    pub(crate) fn tell(&mut self, event: Event, now: Moment) {
        match event {
            Event::Cancelled { task, running } => self.cancel(task, running),
            Event::Ready(worker) => self.ready(worker, now),
            Event::Claimed {
                worker,
                task,
                began,
            } => self.claimed(worker, task, began),
            Event::Withdrawn { worker, task } => self.withdrawn(worker, task),
            Event::Answered {
                worker,
                task,
                took,
                again,
            } => self.answered(worker, task, took, again),
            Event::Tired(worker) => self.quit(worker),
            Event::Gone { worker, again } => self.gone(worker, again, now),
            Event::Resized { least, most } => self.resize(least, most),
            Event::Closed if self.state == State::Open => self.state = State::Closed,
            Event::Closed => {}
            Event::Stopped => self.stop(),
        }
    }

    fn cancel(&mut self, id: TaskId, running: bool) {
        if self.tasks.find(id).is_none() {
            return;
        }
        let wanted = if running {
            Interest::Death
        } else {
            Interest::Nothing
        };
        let task = self.tasks.get_mut(id.index);
        task.interest = task.interest.max(wanted);
        let worker = task.worker;
        match task.stage {
            Stage::Queued => {
                self.queue.remove(&mut self.tasks, id.index);
                self.resolve(id.index, End::Cancelled);
            }
            // The worker may be gone before the next step.
            Stage::Offered => self.unwanted.push(id),
            // If it runs, its worker may be killed for it.
            Stage::Running => self.crew.changed.insert(worker),
            Stage::Withdrawing | Stage::Vacant => {}
        }
    }

    fn ready(&mut self, id: WorkerId, now: Moment) {
        let worker = self.crew.find(id);
        if worker.is_none_or(|worker| worker.phase != Phase::Starting) {
            return;
        }
        self.crew.set_phase(id.index, Phase::Ready);
        if let Some(age) = self.plan.max_age {
            let old_at = now.saturating_add(age.max(LEAST_AGE));
            self.crew.get_mut(id.index).old_at = old_at;
            self.old_at = self.old_at.min(old_at);
        }
    }

    fn claimed(&mut self, id: WorkerId, task: TaskId, began: Moment) {
        if !self.has(id, task) || self.tasks.get(task.index).stage == Stage::Running {
            return;
        }
        self.set_stage(task.index, Stage::Running);
        let claimed = self.tasks.get_mut(task.index);
        claimed.since = began;
        if let Some(timeout) = claimed.timeout {
            self.watch_at = self.watch_at.min(began.saturating_add(timeout));
        }
        self.worked(id.index);
        let is_first = self.crew.get(id.index).running == NONE;
        self.crew.get_mut(id.index).running = if is_first {
            task.index
        } else {
            self.last_claimed(id.index)
        };
    }

    fn withdrawn(&mut self, id: WorkerId, task: TaskId) {
        if self.has(id, task) && self.tasks.get(task.index).stage == Stage::Withdrawing {
            self.leave(task.index);
            self.take_back(task.index);
        }
    }

    fn answered(&mut self, id: WorkerId, task: TaskId, took: Duration, again: bool) {
        if !self.has(id, task) {
            return;
        }
        self.leave(task.index);
        self.worked(id.index);
        let worker = self.crew.get_mut(id.index);
        worker.pace.note(took);
        worker.answered = worker.answered.saturating_add(1);
        if !(again && self.try_again(task.index)) {
            self.resolve(task.index, End::Answered);
        }
    }

    /// Notes that a worker has begun a task. So workers can be started.
    fn worked(&mut self, index: u32) {
        self.stalled_at = NEVER;
        let worker = self.crew.get_mut(index);
        worker.stall.has_moved = true;
        if !worker.has_worked {
            worker.has_worked = true;
            self.failures = 0;
        }
    }

    /// Notes that a worker wants to be replaced.
    fn quit(&mut self, id: WorkerId) {
        let Some(worker) = self.crew.find(id) else {
            return;
        };
        let phase = worker.phase;
        self.crew.get_mut(id.index).has_quit = true;
        match phase {
            Phase::Ready => self.crew.set_phase(id.index, Phase::Tired),
            Phase::Condemned { task, why, .. } => {
                let phase = Phase::Condemned {
                    task,
                    why,
                    was_tired: true,
                };
                self.crew.set_phase(id.index, phase);
            }
            _ => {}
        }
    }

    fn gone(&mut self, id: WorkerId, again: bool, now: Moment) {
        if self.crew.find(id).is_none() {
            return;
        }
        // The oldest comes to the front of the queue.
        while let Some(task) = self.crew.get(id.index).lane.last() {
            let stage = self.tasks.get(task).stage;
            self.leave(task);
            if stage == Stage::Running {
                self.lost(id, task, again);
            } else {
                self.take_back(task);
            }
        }
        let is_failure = self.has_failed(id.index, now);
        let worker = self.crew.get(id.index);
        let (started, has_worked) = (worker.started, worker.has_worked);
        if let Phase::Killed(_, Why::Unresponsive) = worker.phase {
            self.stalled_at = self.stalled_at.min(now);
        }
        self.crew.remove(id.index);
        if is_failure {
            self.back_off(started, now);
        } else if has_worked {
            self.start_at = self.start_at.min(now);
        }
    }

    /// Decides about a task that a worker had begun and not answered.
    fn lost(&mut self, worker: WorkerId, index: u32, again: bool) {
        let id = self.tasks.id(index);
        let end = match self.crew.get(worker.index).phase {
            Phase::Killed(Some(guilty), Why::TimedOut) if guilty == id => End::TimedOut(worker),
            Phase::Killed(Some(guilty), Why::Cancelled) if guilty == id => End::Killed(worker),
            Phase::Killed(None, _) => End::Killed(worker),
            _ => {
                let task = self.tasks.get_mut(index);
                task.cost += 1;
                if task.cost >= self.plan.poison_after {
                    End::Poisonous(worker)
                } else {
                    End::Lost(worker)
                }
            }
        };
        let may_begin = again && matches!(end, End::TimedOut(_) | End::Lost(_));
        if !(may_begin && self.try_again(index)) {
            self.resolve(index, end);
        }
    }

    /// Puts a task that has begun and failed at the front of the queue, if it may begin again.
    /// Returns whether it may.
    fn try_again(&mut self, index: u32) -> bool {
        let task = self.tasks.get_mut(index);
        let may_begin =
            task.retries > 0 && task.interest == Interest::Value && self.state != State::Stopped;
        if may_begin {
            task.retries -= 1;
            self.requeue(index);
        }
        may_begin
    }

    /// Puts a task that nobody has claimed at the front of the queue, if it is wanted.
    fn take_back(&mut self, index: u32) {
        if self.state == State::Stopped {
            self.resolve(index, End::Stopped);
        } else if self.tasks.get(index).interest == Interest::Value {
            self.requeue(index);
        } else {
            self.resolve(index, End::Cancelled);
        }
    }

    fn requeue(&mut self, index: u32) {
        self.tasks.get_mut(index).stage = Stage::Queued;
        self.queue.push_front(&mut self.tasks, index);
    }

    /// Whether a worker ended so early, and not by our choice, that the next one may do the same.
    fn has_failed(&self, index: u32, now: Moment) -> bool {
        let worker = self.crew.get(index);
        let is_young = now.saturating_sub(worker.started) < LONGEST_WAIT;
        match worker.phase {
            Phase::Starting => true,
            // It was started after another one had ended in the same way.
            Phase::Killed(_, Why::Unresponsive) => worker.started >= self.stalled_at,
            Phase::Killed(..) => false,
            Phase::Retired if !worker.has_quit => false,
            _ => is_young && !worker.has_worked,
        }
    }

    /// Waits before the next worker is started, because one has failed. If that happens again and
    /// again, gives up the tasks that wait, and those that come before the wait is over; the
    /// next task tries again.
    fn back_off(&mut self, started: Moment, now: Moment) {
        if started >= self.start_at {
            let wait = FIRST_WAIT * (1 << self.failures.min(9));
            self.start_at = now.saturating_add(wait.min(LONGEST_WAIT));
            self.failures = self.failures.saturating_add(1);
        }
        if self.has_given_up() && self.crew.living() == 0 {
            self.clear_queue(End::NoWorkers);
        }
    }

    /// Whether workers are started only for tasks that were submitted since.
    pub(super) fn has_given_up(&self) -> bool {
        self.failures >= ATTEMPTS
    }

    pub(super) fn resize(&mut self, least: usize, most: usize) {
        self.plan.most = most.max(1);
        self.plan.least = least.min(self.plan.most);
        // Those above the new number have to go.
        self.crew.change_all();
    }

    fn stop(&mut self) {
        self.state = State::Stopped;
        self.clear_queue(End::Stopped);
        self.crew.change_all();
    }

    fn clear_queue(&mut self, end: End) {
        while let Some(index) = self.queue.first() {
            self.queue.remove(&mut self.tasks, index);
            self.resolve(index, end);
        }
    }
}
