//! The terms in which a driver and a schedule speak to each other.

use std::time::Duration;

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
    /// Read the claims of a worker. Before the next step, which follows at once, the driver tells
    /// those that were not told yet.
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
    /// It has claimed nothing that it was offered for too long. It has begun none of that.
    Unresponsive,
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
pub(super) const NEVER: Moment = Duration::MAX;
