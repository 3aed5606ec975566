//! The scheduler of a pool: which worker gets which task, and how each task ends.
//!
//! It is a state machine without processes, clocks and descriptors. A driver tells it events, with
//! the time at which it saw them, calls [`step`](Schedule::step) once for each batch of them, and
//! does the actions that follow. The driver knows the values and the processes; the scheduler knows
//! numbers only.
//!
//! The law that it keeps, and that its simulation tests: *every task that was submitted is resolved
//! exactly once, with a true end*, and a task that a worker may have begun is never given to
//! another one unless the task may be tried again.
//!
//! # Claims
//!
//! A task is offered to a worker, and the worker claims it before it decodes it. Until then the
//! driver can withdraw the offer. Exactly one of the two succeeds, which a word in memory decides.
//! So when a worker dies, the task that it had claimed is the one that it may have begun. All
//! others go to other workers.
//!
//! A claim is no event by itself: the driver sees it when it looks. It has to look when an action
//! asks for that, when it fails to withdraw an offer, and before it tells that a worker is gone.
//!
//! # Workers that do not claim
//!
//! A worker may be stopped, or wait for a disk. If it runs nothing and does not claim an offer for
//! some time, it is *slow*: its offers are withdrawn, and others are preferred. It is offered one
//! task when no other worker has room, so it can show that it goes on. A claim or an answer makes
//! it a usual worker again. If it claims nothing for a long time, it is killed and replaced.
//!
//! # What the driver owes
//!
//! After each step it takes all actions and does them in their order, before it tells anything
//! else. It answers each `Withdraw` and does each `Look` before the next step. It steps again until
//! there are no more actions. It sees to it that each worker that was started becomes ready or is
//! gone within some time, and that each worker that was let go or killed is gone within some time:
//! the scheduler waits for these without a limit.

mod decide;
mod event;
mod hesitation;
mod lane;
mod pace;
mod set;
#[cfg(test)]
mod simulation;
mod stall;
mod task;
mod terms;
#[cfg(test)]
mod tests;
mod worker;

use task::{List, Stage, Task, Tasks};
use terms::NEVER;
pub(crate) use terms::{Action, End, Event, Moment, Place, Plan, TaskId, Why, Wish, WorkerId};
use worker::Crew;

/// What a pool has promised, and the workers that keep it.
#[derive(Debug)]
pub(crate) struct Schedule {
    plan: Plan,
    state: State,
    tasks: Tasks,
    /// The tasks that wait for a worker. Those that come back from a worker are first.
    queue: List,
    crew: Crew,
    /// The tasks that were cancelled after they were offered.
    unwanted: Vec<TaskId>,
    /// How many tasks are offered to workers, those included that are being withdrawn.
    offered: u32,
    /// How many tasks the driver tries to withdraw.
    withdrawing: u32,
    /// How often in a row workers have ended before they had begun a task. Those that were started
    /// together count once.
    failures: u32,
    /// From when on the next worker may be started.
    start_at: Moment,
    /// When a worker was lost that had claimed nothing, and no task was claimed since.
    stalled_at: Moment,
    /// No worker has left an offer unclaimed for too long before this moment.
    stall_at: Moment,
    /// No timeout of a task has to be looked after before this moment.
    watch_at: Moment,
    /// No worker has been idle for too long before this moment.
    rest_at: Moment,
    /// No slow worker has had nothing to do for too long before this moment.
    spare_at: Moment,
    /// No worker is too old before this moment.
    old_at: Moment,
    actions: Vec<Action>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Closed,
    Stopped,
}

impl Schedule {
    /// Returns a schedule that asks for its first workers at the first [`step`](Self::step).
    pub(crate) fn new(plan: Plan) -> Self {
        let mut schedule = Self {
            plan,
            state: State::Open,
            tasks: Tasks::default(),
            queue: List::EMPTY,
            crew: Crew::default(),
            unwanted: Vec::new(),
            offered: 0,
            withdrawing: 0,
            failures: 0,
            start_at: Moment::ZERO,
            stalled_at: NEVER,
            stall_at: NEVER,
            watch_at: NEVER,
            rest_at: NEVER,
            spare_at: NEVER,
            old_at: NEVER,
            actions: Vec::new(),
        };
        schedule.resize(schedule.plan.least, schedule.plan.most);
        schedule
    }

    /// Adds a task. The task that had its index before must be resolved.
    pub(crate) fn submit(&mut self, id: TaskId, wish: Wish, now: Moment) {
        let is_new = self.tasks.insert(id.index, Task::new(id.turn, wish, now));
        debug_assert!(is_new, "the task with the same index is not resolved");
        if !is_new {
            return;
        }
        if self.state != State::Open {
            self.resolve(id.index, End::Stopped);
        } else if self.has_given_up() && self.crew.living() == 0 && now < self.start_at {
            // It need not wait for what will probably fail again.
            self.resolve(id.index, End::NoWorkers);
        } else {
            self.queue.push_back(&mut self.tasks, id.index);
        }
    }

    /// Takes what has to be done, in this order.
    pub(crate) fn actions(&mut self) -> std::vec::Drain<'_, Action> {
        self.actions.drain(..)
    }

    /// Returns when [`step`](Self::step) has to be called at the latest, if nothing is told before.
    /// It may be earlier than something happens, but not again and again.
    pub(crate) fn wake_at(&self) -> Option<Moment> {
        let mut at = self.watch_at.min(self.old_at);
        if !self.crew.waiting.is_empty() {
            at = at.min(self.stall_at);
        }
        if self.usual_surplus() > 0 && !self.crew.idle.is_empty() {
            at = at.min(self.rest_at);
        }
        if self.surplus() > 0 && !self.crew.spare.is_empty() {
            at = at.min(self.spare_at);
        }
        if self.wants_worker() {
            at = at.min(self.start_at);
        }
        (at != NEVER).then_some(at)
    }

    /// Whether the pool is closed or stopped, all tasks are resolved, all workers have ended, and
    /// all actions were taken.
    pub(crate) fn is_over(&self) -> bool {
        let is_done = self.tasks.len() == 0 && self.crew.is_empty() && self.actions.is_empty();
        is_done && self.state != State::Open
    }

    /// Returns how many more tasks the workers could take or could soon need. It is at least one
    /// while nothing is queued.
    pub(crate) fn room(&self) -> usize {
        let least = usize::from(self.queue.is_empty());
        let waiting = self.queued() + self.offered as usize;
        (2 * self.crew.reach()).saturating_sub(waiting).max(least)
    }

    /// Returns how many tasks wait for a worker.
    pub(crate) fn queued(&self) -> usize {
        self.queue.len() as usize
    }

    /// Returns how many tasks run, as far as that is known: one for each worker that has any.
    #[cfg(test)]
    fn running(&self) -> usize {
        let workers = self.crew.indices().map(|index| self.crew.get(index));
        workers.filter(|worker| !worker.lane.is_empty()).count()
    }

    /// Returns where a task is, until it is resolved.
    pub(crate) fn place(&self, id: TaskId) -> Option<Place> {
        let task = self.tasks.find(id)?;
        match task.stage {
            Stage::Vacant => None,
            Stage::Queued => Some(Place::Queued),
            Stage::Offered | Stage::Withdrawing => Some(Place::Offered(self.crew.id(task.worker))),
            Stage::Running => Some(Place::Running(self.crew.id(task.worker))),
        }
    }

    /// Returns the tasks that are offered to a worker or run there, the oldest offer first.
    #[cfg(test)]
    fn worker_tasks(&self, id: WorkerId) -> impl Iterator<Item = TaskId> {
        let found = self.crew.find(id).into_iter();
        let indices = found.flat_map(|worker| worker.lane.iter(&self.tasks));
        indices.map(|index| self.tasks.id(index))
    }

    /// Ends a task that is in no list.
    fn resolve(&mut self, index: u32, end: End) {
        let id = self.tasks.remove(index);
        self.actions.push(Action::Resolve(id, end));
    }
}
