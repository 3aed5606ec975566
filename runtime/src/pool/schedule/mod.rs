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

mod decide;
mod event;
mod lane;
mod pace;
mod set;
#[cfg(test)]
mod simulation;
mod task;
#[cfg(test)]
mod tests;
mod worker;

use std::time::Duration;
use task::{List, Stage, Task, Tasks};
use worker::Crew;

/// A task. The driver chooses the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TaskId {
    /// Small numbers, which are used again after their task was resolved.
    pub(crate) index: u32,
    /// Differs between the tasks that use one index, one after the other.
    pub(crate) turn: u32,
}

/// A worker. The scheduler chooses the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct WorkerId {
    /// The lowest number that no other worker has. It is below [`Plan::most`], except while
    /// workers above a lowered number are still ending.
    pub(crate) index: u32,
    /// Differs between the workers that have one index, one after the other.
    pub(crate) generation: u32,
}

/// A moment, as the time since the beginning of the pool.
pub(crate) type Moment = Duration;

/// How a pool works.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// How many workers are kept although there is nothing to do.
    pub(crate) least: usize,
    /// How many workers there are at most, those included that are still ending. At least 1.
    pub(crate) most: usize,
    /// How many tasks a worker answers before another one takes its place.
    pub(crate) tasks_per_worker: Option<u32>,
    /// How long a worker is ready before another one takes its place. It answers what it has begun.
    pub(crate) max_age: Option<Duration>,
    /// How long a worker above the least number may have nothing to do.
    pub(crate) idle_timeout: Option<Duration>,
    /// Whether a worker that runs a task is offered more tasks ahead, if its tasks are short.
    pub(crate) ahead: bool,
    /// How many lost workers a task may cost before it is not tried again, whatever its wishes.
    pub(crate) poison_after: u32,
}

/// What was asked for one task.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wish {
    /// How long the task may run, from the moment when it began.
    pub(crate) timeout: Option<Duration>,
    /// How many more times the task may be begun after the first, whatever ended the times before.
    pub(crate) retries: u32,
}

/// What the driver has seen or was asked for.
///
/// An event about a task or a worker that does not exist any more is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Nobody wants the value of the task any more. `running` says whether the worker is killed if
    /// the task has begun.
    Cancelled { task: TaskId, running: bool },
    /// A worker that was started can be offered tasks.
    Ready(WorkerId),
    /// A worker has claimed a task at `began`. It may be told at any time before the answer, or
    /// not at all if the answer is told.
    Claimed {
        worker: WorkerId,
        task: TaskId,
        began: Moment,
    },
    /// An offer was withdrawn, as an action has asked for.
    Withdrawn { worker: WorkerId, task: TaskId },
    /// A worker has answered a task, which took this long. `again` says that the task has failed
    /// in a way that its wishes allow to try again.
    Answered {
        worker: WorkerId,
        task: TaskId,
        took: Duration,
        again: bool,
    },
    /// A worker wants to be replaced when it has answered what it has claimed.
    Tired(WorkerId),
    /// A worker has ended, or could not be started. All that it had claimed and answered was told
    /// before. `again` says that the wishes of the task that it had claimed allow to try again
    /// after such an end.
    Gone { worker: WorkerId, again: bool },
    /// The plan has other numbers of workers from now on.
    Resized { least: usize, most: usize },
    /// No task is submitted any more. The pool ends when all are resolved.
    Closed,
    /// Nothing is to be done any more. All workers are killed.
    Stopped,
}

/// What the driver has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start a worker. The driver tells `Ready` or `Gone`.
    Start(WorkerId),
    /// Offer a task to a worker, after those that were offered to it before.
    Offer(WorkerId, TaskId),
    /// Try to withdraw an offer. Before the next step the driver tells `Withdrawn` or, if the
    /// worker was quicker, `Claimed` or `Answered`.
    Withdraw(WorkerId, TaskId),
    /// Read the claims of a worker, and tell those that were not told yet.
    Look(WorkerId),
    /// Let a worker end. It was ready, has answered everything, and is offered nothing more.
    Retire(WorkerId),
    /// Kill a worker. It may be starting or ending.
    Kill(WorkerId, Why),
    /// Give a task its end. Its index may be used for another task from now on.
    Resolve(TaskId, End),
}

/// Why a worker is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Its task ran for too long. If that may be tried again, the driver says so with `Gone`.
    TimedOut,
    /// Its task was cancelled while it ran.
    Cancelled,
    /// The pool was stopped.
    Stopped,
}

/// How a task ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The worker has answered: the driver has the value, or the reason why there is none.
    Answered,
    /// Its worker was lost, and the task may have had effects.
    Lost(WorkerId),
    /// It has cost as many workers as a task may cost. This was the last of them.
    Poisonous(WorkerId),
    /// It ran for too long, and its worker was killed.
    TimedOut(WorkerId),
    /// It was cancelled before it began, or before it began again.
    Cancelled,
    /// It was cancelled, or the pool was stopped, while it may have run. Its worker was killed.
    Killed(WorkerId),
    /// No worker can be started that lives long enough to begin a task.
    NoWorkers,
    /// The pool was closed or stopped before it began, or before it began again.
    Stopped,
}

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It waits for a worker.
    Queued,
    /// It is offered to this worker. It may have begun since the driver looked.
    Offered(WorkerId),
    /// This worker has begun it.
    Running(WorkerId),
}

/// A moment that does not come.
const NEVER: Moment = Duration::MAX;

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
    /// How many workers have tasks.
    busy: usize,
    /// How often in a row workers have ended before they had begun a task. Those that were started
    /// together count once.
    failures: u32,
    /// From when on the next worker may be started.
    start_at: Moment,
    /// No timeout of a task has to be looked after before this moment.
    watch_at: Moment,
    /// No worker has been idle for too long before this moment.
    rest_at: Moment,
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
            busy: 0,
            failures: 0,
            start_at: Moment::ZERO,
            watch_at: NEVER,
            rest_at: NEVER,
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
        if self.state == State::Open {
            self.queue.push_back(&mut self.tasks, id.index);
        } else {
            self.resolve(id.index, End::Stopped);
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
        if self.surplus() > 0 && !self.crew.idle.is_empty() {
            at = at.min(self.rest_at);
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
    pub(crate) fn running(&self) -> usize {
        self.busy
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
    pub(crate) fn worker_tasks(&self, id: WorkerId) -> impl Iterator<Item = TaskId> {
        let lane = self.crew.find(id).map(|worker| &worker.lane);
        let tasks = lane.into_iter().flat_map(|lane| lane.iter(&self.tasks));
        tasks.map(|index| self.tasks.id(index))
    }

    /// Ends a task that is in no list.
    fn resolve(&mut self, index: u32, end: End) {
        let id = self.tasks.remove(index);
        self.actions.push(Action::Resolve(id, end));
    }
}
