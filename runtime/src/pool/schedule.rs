//! The scheduler of a pool: which worker gets which task, and what becomes of each task.
//!
//! It is a state machine without processes, clocks and descriptors. A driver tells it events, with
//! the time at which it saw them, and does the actions that come of them. The driver knows the
//! values and the processes; the scheduler knows numbers only.
//!
//! The law that it keeps, and that its simulation tests: *every task that was submitted is resolved
//! exactly once*, and a task that a worker may have begun is never given to another one unless the
//! task may be tried again.
//!
//! # Claims
//!
//! A task is offered to a worker, and the worker claims it before it decodes it. Until then the
//! driver can withdraw the offer. Exactly one of the two succeeds, which a word in memory decides.
//! So when a worker dies, the task that it had claimed is the one that it may have begun. All others
//! go to other workers.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

/// A task, in the order in which the tasks were submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TaskId(pub(crate) u64);

/// A worker, in the order in which the workers were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct WorkerId(pub(crate) u64);

/// A moment, as the time since the beginning of the pool.
pub(crate) type Moment = Duration;

/// How a pool works.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// How many workers are kept although there is nothing to do.
    pub(crate) least: usize,
    /// How many workers there are at most.
    pub(crate) most: usize,
    /// How many tasks a worker does before another one takes its place.
    pub(crate) tasks_per_worker: Option<u32>,
    /// How long a worker above the least number may have nothing to do.
    pub(crate) idle_timeout: Option<Duration>,
    /// How many workers a task may cost before it is not tried again, whatever its wishes.
    pub(crate) poison_after: u32,
}

/// What was asked for one task.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wish {
    /// How long the task may run, from its claim on.
    pub(crate) timeout: Option<Duration>,
    /// How often the task may be begun again after its worker was lost.
    pub(crate) retries: u32,
}

/// What the driver has seen or was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Nobody wants the value of the task any more. `running` says whether that holds although the
    /// task may have begun: its worker is killed then.
    Cancelled { task: TaskId, running: bool },
    /// A worker can be offered tasks.
    Ready(WorkerId),
    /// A worker has claimed a task. It may be seen at any time before the answer, or not at all.
    Claimed(WorkerId, TaskId),
    /// An offer was withdrawn, as an action has asked for.
    Withdrawn(WorkerId, TaskId),
    /// A worker has answered a task, which took this long.
    Answered(WorkerId, TaskId, Duration),
    /// A worker wants to be replaced when it has answered what it has claimed.
    Tired(WorkerId),
    /// A worker has ended. All that it had claimed and answered was told before.
    Gone(WorkerId),
    /// The numbers of workers are others from now on.
    Resized { least: usize, most: usize },
    /// No task is submitted any more. The pool ends when all are resolved.
    Closed,
    /// Nothing is to be done any more.
    Stopped,
    /// Time has passed.
    Passed,
}

/// What the driver is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Start(WorkerId),
    Offer(WorkerId, TaskId),
    /// Try to withdraw an offer. The driver answers with `Withdrawn` or `Claimed`.
    Withdraw(WorkerId, TaskId),
    /// Let a worker end: nothing is offered to it, and it has answered everything.
    Retire(WorkerId),
    Kill(WorkerId),
    Resolve(TaskId, End),
}

/// What becomes of a task.
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
    /// It was cancelled before it was claimed.
    Cancelled,
    /// It was cancelled while it may have run. Its worker was killed.
    Killed(WorkerId),
    /// No worker can be started.
    NoWorkers,
    /// The pool was stopped before the task was claimed.
    Stopped,
}

/// How much work is offered to a worker ahead, so that it need not wait for the next task.
const AHEAD: Duration = Duration::from_micros(100);

/// The most tasks that are offered ahead to a worker.
const DEEPEST: usize = 128;

/// How many workers may end in a row before they are ready. Then the tasks that wait fail.
const ATTEMPTS: u32 = 5;

/// The wait after the first worker that ended before it was ready. It doubles with each.
const FIRST_WAIT: Duration = Duration::from_millis(10);

#[derive(Debug)]
struct Task {
    wish: Wish,
    place: Place,
    /// Whether it is withdrawn, or its worker killed, because nobody wants it.
    is_cancelled: bool,
    /// How many workers it has cost.
    cost: u32,
    /// The number of its last offer. A worker claims what it was offered in this order.
    turn: u64,
}

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Queued,
    Offered(WorkerId),
    /// The driver tries to withdraw it.
    Withdrawing(WorkerId),
    Running(WorkerId),
}

#[derive(Debug)]
struct Worker {
    phase: Phase,
    /// The tasks that are offered to it and not known to be claimed, the oldest first.
    offered: VecDeque<TaskId>,
    /// The tasks that it has claimed, in the order in which they were offered. It runs the last; of
    /// the others the answer was not seen yet.
    claimed: Vec<Claim>,
    /// How many tasks it has answered.
    answered: u32,
    /// How long its tasks take.
    pace: Pace,
    /// Since when it has nothing to do.
    idle_since: Moment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Starting,
    Ready,
    /// Nothing more is offered to it. It ends when it has answered what it has.
    Tired,
    /// It was let go, and ends by itself.
    Retired,
    /// It is to be killed for a task, once it cannot claim another one.
    Condemned(TaskId, Why),
    Killed(Option<(TaskId, Why)>),
}

/// Why a worker is killed for a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    TimedOut,
    Cancelled,
}

#[derive(Clone, Copy, Debug)]
struct Claim {
    task: TaskId,
    turn: u64,
    /// When its time is over.
    until: Option<Moment>,
}

/// A moving average of how long tasks take.
#[derive(Clone, Copy, Debug, Default)]
struct Pace(Option<Duration>);

impl Pace {
    fn note(&mut self, took: Duration) {
        let before = self.0.unwrap_or(took);
        self.0 = Some((before * 7 + took) / 8);
    }

    /// How many tasks may be offered at once, with the one that runs.
    fn depth(self) -> usize {
        let Some(took) = self.0 else { return 1 };
        let fits = AHEAD.as_nanos() / took.as_nanos().max(1);
        1 + usize::try_from(fits).unwrap_or(DEEPEST).min(DEEPEST)
    }
}

/// What a pool has promised, and whom it has to keep it.
#[derive(Debug)]
pub(crate) struct Schedule {
    plan: Plan,
    tasks: BTreeMap<TaskId, Task>,
    /// The tasks that wait for a worker. Those that come back from a worker are first.
    queue: VecDeque<TaskId>,
    workers: BTreeMap<WorkerId, Worker>,
    /// The workers that have nothing to do.
    idle: BTreeSet<WorkerId>,
    next_worker: u64,
    next_turn: u64,
    state: State,
    /// How many workers have ended in a row before they were ready.
    failures: u32,
    /// From when on the next worker may be started.
    start_at: Moment,
    actions: Vec<Action>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Closed,
    Stopped,
}

impl Schedule {
    pub(crate) fn new(plan: Plan) -> Self {
        let mut schedule = Self {
            plan,
            tasks: BTreeMap::new(),
            queue: VecDeque::new(),
            workers: BTreeMap::new(),
            idle: BTreeSet::new(),
            next_worker: 0,
            next_turn: 0,
            state: State::Open,
            failures: 0,
            start_at: Moment::ZERO,
            actions: Vec::new(),
        };
        schedule.start_workers(Moment::ZERO);
        schedule
    }

    /// Adds a task. Its number must not be that of an earlier one.
    pub(crate) fn submit(&mut self, task: TaskId, wish: Wish, now: Moment) {
        let new = Task {
            wish,
            place: Place::Queued,
            is_cancelled: false,
            cost: 0,
            turn: 0,
        };
        self.tasks.insert(task, new);
        if self.state == State::Open {
            self.queue.push_back(task);
            self.step(now);
        } else {
            self.resolve(task, End::Stopped);
        }
    }

    /// Tells what has happened, and when it was seen.
    pub(crate) fn tell(&mut self, event: Event, now: Moment) {
        match event {
            Event::Cancelled { task, running } => self.cancel(task, running),
            Event::Ready(worker) => self.ready(worker, now),
            Event::Claimed(worker, task) => self.claimed(worker, task, now),
            Event::Withdrawn(worker, task) => self.withdrawn(worker, task),
            Event::Answered(worker, task, took) => self.answered(worker, task, took, now),
            Event::Tired(worker) => self.tire(worker),
            Event::Gone(worker) => self.gone(worker, now),
            Event::Resized { least, most } => {
                self.plan.least = least.min(most);
                self.plan.most = most;
            }
            Event::Closed => {
                if self.state == State::Open {
                    self.state = State::Closed;
                }
            }
            Event::Stopped => self.stop(),
            Event::Passed => {}
        }
        self.step(now);
    }

    /// Takes what is to be done.
    pub(crate) fn actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// When `Passed` must be told at the latest.
    pub(crate) fn wake_at(&self) -> Option<Moment> {
        let timeouts = self.workers.values().filter_map(|worker| {
            let is_watched = matches!(worker.phase, Phase::Ready | Phase::Tired);
            let until = worker.running().and_then(|claim| claim.until);
            until.filter(|_| is_watched)
        });
        let surplus = self.surplus() > 0;
        let idle = self
            .plan
            .idle_timeout
            .filter(|_| surplus)
            .and_then(|timeout| {
                let since = self
                    .idle
                    .iter()
                    .map(|id| self.workers[id].idle_since)
                    .min()?;
                since.checked_add(timeout)
            });
        let start = (self.wanted() > self.living()).then_some(self.start_at);
        timeouts.chain(idle).chain(start).min()
    }

    /// Whether all that was promised is done, and nobody is left to do more.
    pub(crate) fn is_over(&self) -> bool {
        self.state != State::Open && self.tasks.is_empty() && self.workers.is_empty()
    }

    fn cancel(&mut self, id: TaskId, running: bool) {
        let Some(task) = self.tasks.get_mut(&id) else {
            return;
        };
        match task.place {
            Place::Queued => self.resolve(id, End::Cancelled),
            Place::Offered(worker) => {
                task.is_cancelled = true;
                self.withdraw(worker, id);
            }
            Place::Withdrawing(_) => task.is_cancelled = true,
            Place::Running(worker) if running => {
                task.is_cancelled = true;
                self.condemn(worker, id, Why::Cancelled);
            }
            Place::Running(_) => {}
        }
    }

    fn ready(&mut self, id: WorkerId, now: Moment) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        self.failures = 0;
        if worker.phase == Phase::Starting {
            worker.phase = Phase::Ready;
            worker.idle_since = now;
            self.idle.insert(id);
        }
    }

    fn claimed(&mut self, id: WorkerId, task_id: TaskId, now: Moment) {
        let Some((worker, task)) = self.workers.get_mut(&id).zip(self.tasks.get_mut(&task_id))
        else {
            return;
        };
        // It may have been answered, or be seen for the second time.
        if !matches!(task.place, Place::Offered(at) | Place::Withdrawing(at) if at == id) {
            return;
        }
        worker.offered.retain(|offered| *offered != task_id);
        task.place = Place::Running(id);
        // Nobody can take back what has begun. Whether its value is wanted, the driver knows.
        task.is_cancelled = false;
        let timeout = task.wish.timeout;
        worker.claimed.push(Claim {
            task: task_id,
            turn: task.turn,
            until: timeout.and_then(|timeout| now.checked_add(timeout)),
        });
        worker.claimed.sort_unstable_by_key(|claim| claim.turn);
        self.execute(id);
    }

    fn withdrawn(&mut self, id: WorkerId, task_id: TaskId) {
        let Some((worker, task)) = self.workers.get_mut(&id).zip(self.tasks.get_mut(&task_id))
        else {
            return;
        };
        if task.place != Place::Withdrawing(id) {
            return;
        }
        worker.offered.retain(|offered| *offered != task_id);
        self.take_back(task_id);
        self.execute(id);
    }

    fn answered(&mut self, id: WorkerId, task: TaskId, took: Duration, now: Moment) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        worker.offered.retain(|offered| *offered != task);
        worker.claimed.retain(|claim| claim.task != task);
        worker.pace.note(took);
        worker.answered += 1;
        if self
            .plan
            .tasks_per_worker
            .is_some_and(|most| worker.answered >= most)
        {
            self.tire(id);
        }
        self.resolve(task, End::Answered);
        self.execute(id);
        self.rest(id, now);
    }

    /// Lets a worker end when it has done what it has.
    fn tire(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        if worker.phase != Phase::Ready {
            return;
        }
        worker.phase = Phase::Tired;
        self.idle.remove(&id);
        for task in worker.offered.clone() {
            self.withdraw(id, task);
        }
    }

    fn gone(&mut self, id: WorkerId, now: Moment) {
        let Some(worker) = self.workers.remove(&id) else {
            return;
        };
        self.idle.remove(&id);
        // The oldest comes to the front of the queue.
        for task in worker.offered.iter().rev() {
            self.take_back(*task);
        }
        // There is one at most: all answers were told before.
        for claim in &worker.claimed {
            self.lost(id, claim.task, worker.phase);
        }
        match worker.phase {
            Phase::Starting => {
                let wait = FIRST_WAIT * (1 << self.failures.min(8));
                self.start_at = now.saturating_add(wait);
                self.failures += 1;
                if self.failures >= ATTEMPTS && self.living() == 0 {
                    self.give_up();
                }
            }
            // It may be of no use to anybody, and so may the next one.
            Phase::Ready if worker.answered == 0 && worker.claimed.is_empty() => {
                self.start_at = now.saturating_add(FIRST_WAIT);
            }
            _ => {}
        }
    }

    /// Decides about a task that a worker had begun and not answered.
    fn lost(&mut self, worker: WorkerId, id: TaskId, phase: Phase) {
        let Some(task) = self.tasks.get_mut(&id) else {
            return;
        };
        task.cost += 1;
        let end = match phase {
            Phase::Killed(Some((guilty, Why::TimedOut))) if guilty == id => End::TimedOut(worker),
            Phase::Killed(Some((guilty, Why::Cancelled))) if guilty == id => End::Killed(worker),
            Phase::Killed(None) => End::Killed(worker),
            _ if self.state == State::Stopped => End::Killed(worker),
            _ if task.cost >= self.plan.poison_after => End::Poisonous(worker),
            _ if task.cost <= task.wish.retries => {
                task.place = Place::Queued;
                task.is_cancelled = false;
                self.queue.push_front(id);
                return;
            }
            _ => End::Lost(worker),
        };
        self.resolve(id, end);
    }

    /// Puts a task that nobody has claimed at the front of the queue, if somebody wants it.
    fn take_back(&mut self, id: TaskId) {
        let Some(task) = self.tasks.get_mut(&id) else {
            return;
        };
        task.place = Place::Queued;
        if self.state == State::Stopped {
            self.resolve(id, End::Stopped);
        } else if task.is_cancelled {
            self.resolve(id, End::Cancelled);
        } else {
            self.queue.push_front(id);
        }
    }

    /// Fails the tasks that wait, because no worker can be started. The next task tries again.
    fn give_up(&mut self) {
        for task in std::mem::take(&mut self.queue) {
            self.resolve(task, End::NoWorkers);
        }
    }

    fn stop(&mut self) {
        self.state = State::Stopped;
        for task in std::mem::take(&mut self.queue) {
            self.resolve(task, End::Stopped);
        }
        for (id, worker) in &mut self.workers {
            if !matches!(worker.phase, Phase::Killed(_)) {
                worker.phase = Phase::Killed(None);
                self.actions.push(Action::Kill(*id));
            }
        }
        self.idle.clear();
    }

    fn withdraw(&mut self, worker: WorkerId, id: TaskId) {
        if let Some(task) = self.tasks.get_mut(&id)
            && task.place == Place::Offered(worker)
        {
            task.place = Place::Withdrawing(worker);
            self.actions.push(Action::Withdraw(worker, id));
        }
    }

    /// Has a worker killed for a task that it runs. First all that it could claim next is
    /// withdrawn, so that no other task is lost.
    fn condemn(&mut self, id: WorkerId, task: TaskId, why: Why) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        if !matches!(worker.phase, Phase::Ready | Phase::Tired) {
            return;
        }
        worker.phase = Phase::Condemned(task, why);
        self.idle.remove(&id);
        for offered in worker.offered.clone() {
            self.withdraw(id, offered);
        }
        self.execute(id);
    }

    /// Kills a condemned worker when it can claim nothing more. Spares it if it has done with the
    /// task meanwhile.
    fn execute(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        let Phase::Condemned(task, why) = worker.phase else {
            return;
        };
        if worker.running().is_none_or(|claim| claim.task != task) {
            // What is still being withdrawn comes back, or is done here.
            worker.phase = Phase::Tired;
        } else if worker.offered.is_empty() {
            worker.phase = Phase::Killed(Some((task, why)));
            self.actions.push(Action::Kill(id));
        }
    }

    /// Notes that a worker has nothing to do, if that is so.
    fn rest(&mut self, id: WorkerId, now: Moment) {
        if let Some(worker) = self.workers.get_mut(&id)
            && worker.phase == Phase::Ready
            && worker.load() == 0
            && self.idle.insert(id)
        {
            worker.idle_since = now;
        }
    }

    fn resolve(&mut self, id: TaskId, end: End) {
        if let Some(task) = self.tasks.remove(&id) {
            if task.place == Place::Queued {
                self.queue.retain(|queued| *queued != id);
            }
            self.actions.push(Action::Resolve(id, end));
        }
    }

    /// Does what follows from the state.
    fn step(&mut self, now: Moment) {
        self.end_overdue(now);
        self.retire_surplus(now);
        self.retire_tired();
        self.offer();
        self.balance();
        self.start_workers(now);
    }

    fn end_overdue(&mut self, now: Moment) {
        let overdue = self.workers.iter().filter_map(|(id, worker)| {
            let claim = worker.running()?;
            (claim.until? <= now).then_some((*id, claim.task))
        });
        for (worker, task) in overdue.collect::<Vec<_>>() {
            self.condemn(worker, task, Why::TimedOut);
        }
    }

    /// Lets workers go that have nothing to do: those above the most there may be, and those that
    /// have been idle for too long.
    fn retire_surplus(&mut self, now: Moment) {
        let excess = self.living().saturating_sub(self.plan.most);
        let mut count = excess;
        if let Some(timeout) = self.plan.idle_timeout {
            let is_old = |id: &&WorkerId| {
                let idle = now.saturating_sub(self.workers[id].idle_since);
                idle >= timeout
            };
            let old = self.idle.iter().filter(is_old).count();
            count = count.max(old.min(self.surplus()));
        }
        if self.state == State::Closed && self.tasks.is_empty() {
            count = self.idle.len();
        }
        let mut resting: Vec<_> = self.idle.iter().copied().collect();
        resting.sort_by_key(|id| self.workers[id].idle_since);
        for id in resting.into_iter().take(count) {
            self.tire(id);
        }
    }

    fn retire_tired(&mut self) {
        for (id, worker) in &mut self.workers {
            if worker.phase == Phase::Tired && worker.load() == 0 {
                worker.phase = Phase::Retired;
                self.actions.push(Action::Retire(*id));
            }
        }
    }

    /// Offers what waits: first to those that have nothing to do, then ahead.
    fn offer(&mut self) {
        while let Some(task) = self.queue.front().copied() {
            let Some(id) = self.taker() else { return };
            self.queue.pop_front();
            let worker = self.workers.get_mut(&id).expect("it was found there");
            worker.offered.push_back(task);
            self.idle.remove(&id);
            let offered = self.tasks.get_mut(&task).expect("it waited");
            offered.place = Place::Offered(id);
            offered.turn = self.next_turn;
            self.next_turn += 1;
            self.actions.push(Action::Offer(id, task));
        }
    }

    /// Returns the worker that the next task is offered to.
    fn taker(&self) -> Option<WorkerId> {
        if let Some(id) = self.idle.first() {
            return Some(*id);
        }
        let open = self.workers.iter().filter(|(_, worker)| {
            let left = self.plan.tasks_per_worker.map_or(usize::MAX, |most| {
                most.saturating_sub(worker.answered) as usize
            });
            worker.phase == Phase::Ready && worker.load() < worker.pace.depth().min(left)
        });
        open.min_by_key(|(_, worker)| worker.load())
            .map(|(id, _)| *id)
    }

    /// Takes back what waits at a worker while another one has nothing to do.
    fn balance(&mut self) {
        let coming = self.workers.values().flat_map(|worker| &worker.offered);
        let coming = coming.filter(|task| matches!(self.tasks[task].place, Place::Withdrawing(_)));
        let mut wanted = self.idle.len().saturating_sub(coming.count());
        if !self.queue.is_empty() {
            return;
        }
        while wanted > 0 {
            let loaded = self.workers.iter().filter(|(_, worker)| worker.load() > 1);
            let most = loaded.max_by_key(|(_, worker)| worker.load());
            let Some((id, worker)) = most else { return };
            let last = worker.offered.iter().rev().copied();
            let is_there = |task: &TaskId| matches!(self.tasks[task].place, Place::Offered(_));
            let mut open = last.filter(is_there);
            let Some(task) = open.next() else { return };
            let id = *id;
            drop(open);
            self.withdraw(id, task);
            wanted -= 1;
        }
    }

    fn start_workers(&mut self, now: Moment) {
        while self.living() < self.wanted() && now >= self.start_at {
            let id = WorkerId(self.next_worker);
            self.next_worker += 1;
            let worker = Worker {
                phase: Phase::Starting,
                offered: VecDeque::new(),
                claimed: Vec::new(),
                answered: 0,
                pace: Pace::default(),
                idle_since: now,
            };
            self.workers.insert(id, worker);
            self.actions.push(Action::Start(id));
        }
    }

    /// How many workers there are that do something or can.
    fn living(&self) -> usize {
        let living = self
            .workers
            .values()
            .filter(|worker| matches!(worker.phase, Phase::Starting | Phase::Ready));
        living.count()
    }

    /// How many workers there should be.
    fn wanted(&self) -> usize {
        let least = match self.state {
            State::Stopped => return 0,
            State::Closed => 0,
            // Nobody waits for a worker that cannot be started.
            State::Open if self.failures >= ATTEMPTS => 0,
            State::Open => self.plan.least,
        };
        self.tasks
            .len()
            .clamp(least.min(self.plan.most), self.plan.most)
    }

    /// How many workers there are above the least number.
    fn surplus(&self) -> usize {
        let least = if self.state == State::Open {
            self.plan.least
        } else {
            0
        };
        self.living().saturating_sub(least)
    }
}

impl Worker {
    /// How many tasks it has.
    fn load(&self) -> usize {
        self.offered.len() + self.claimed.len()
    }

    /// Returns what it runs, as far as that was seen.
    fn running(&self) -> Option<&Claim> {
        self.claimed.last()
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, End, Event, Moment, Plan, Schedule, TaskId, Wish, WorkerId};
    use std::{
        collections::{BTreeMap, VecDeque},
        time::Duration,
    };

    const TICK: Duration = Duration::from_micros(50);

    /// A sequence of numbers that depends on its seed only (xorshift).
    struct Random(u64);

    impl Random {
        fn below(&mut self, end: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % end
        }

        fn one_in(&mut self, count: u64) -> bool {
            self.below(count) == 0
        }

        fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
            let end = u64::try_from(from.len()).unwrap();
            (end > 0).then(|| from[usize::try_from(self.below(end)).unwrap()])
        }
    }

    /// A task as it really is.
    #[derive(Default)]
    struct Task {
        wish: Wish,
        /// How often it has begun.
        begun: u32,
        is_cancelled: bool,
        may_be_killed: bool,
        end: Option<End>,
    }

    /// A worker as it really is. The schedule learns of it late, through events.
    #[derive(Default)]
    struct Worker {
        is_ready: bool,
        is_dead: bool,
        /// Whether a kill is on its way to it.
        is_killed: bool,
        is_retired: bool,
        lane: VecDeque<TaskId>,
        running: Option<(TaskId, Moment)>,
        answers: VecDeque<(TaskId, Duration)>,
    }

    struct World {
        random: Random,
        now: Moment,
        schedule: Schedule,
        tasks: BTreeMap<TaskId, Task>,
        workers: BTreeMap<WorkerId, Worker>,
        is_stopped: bool,
        /// Whether workers die, fail and are killed by strangers.
        is_hostile: bool,
        can_start: bool,
        next: u64,
        lost_to_strangers: BTreeMap<WorkerId, Option<TaskId>>,
    }

    impl World {
        fn new(seed: u64, plan: Plan) -> Self {
            let mut world = Self {
                random: Random(seed),
                now: Moment::ZERO,
                schedule: Schedule::new(plan),
                tasks: BTreeMap::new(),
                workers: BTreeMap::new(),
                is_stopped: false,
                is_hostile: true,
                can_start: true,
                next: 0,
                lost_to_strangers: BTreeMap::new(),
            };
            world.act();
            world
        }

        fn tell(&mut self, event: Event) {
            self.schedule.tell(event, self.now);
            self.act();
        }

        fn act(&mut self) {
            loop {
                let actions = self.schedule.actions();
                if actions.is_empty() {
                    return;
                }
                for action in actions {
                    self.do_one(action);
                }
            }
        }

        fn do_one(&mut self, action: Action) {
            match action {
                Action::Start(id) => {
                    assert!(self.workers.insert(id, Worker::default()).is_none());
                }
                Action::Offer(id, task) => {
                    let worker = self.workers.get_mut(&id).expect("it is known");
                    assert!(!worker.is_retired && !worker.is_killed, "{id:?}");
                    worker.lane.push_back(task);
                }
                Action::Withdraw(id, task) => {
                    let worker = self.workers.get_mut(&id).expect("it is known");
                    let place = worker.lane.iter().position(|offered| *offered == task);
                    let event = match place {
                        Some(place) => {
                            worker.lane.remove(place);
                            Event::Withdrawn(id, task)
                        }
                        None => Event::Claimed(id, task),
                    };
                    self.schedule.tell(event, self.now);
                }
                Action::Retire(id) => {
                    let worker = self.workers.get_mut(&id).expect("it is known");
                    assert!(worker.lane.is_empty() && worker.running.is_none());
                    worker.is_retired = true;
                }
                Action::Kill(id) => {
                    let worker = self.workers.get_mut(&id).expect("it is known");
                    assert!(
                        self.is_stopped || worker.lane.is_empty(),
                        "an innocent task"
                    );
                    worker.is_killed = true;
                }
                Action::Resolve(id, end) => {
                    let task = self.tasks.get_mut(&id).expect("it was submitted");
                    assert_eq!(task.end, None, "{id:?} is resolved twice");
                    task.end = Some(end);
                    Self::check(&self.lost_to_strangers, id, task, end, self.is_stopped);
                }
            }
        }

        /// Checks that an end is true.
        fn check(
            lost: &BTreeMap<WorkerId, Option<TaskId>>,
            id: TaskId,
            task: &Task,
            end: End,
            is_stopped: bool,
        ) {
            let tries = task.wish.retries + 1;
            assert!(task.begun <= tries, "{id:?} has begun {} times", task.begun);
            match end {
                End::Answered => assert!(task.begun >= 1),
                End::Lost(worker) => {
                    assert_eq!(lost[&worker], Some(id), "{worker:?} has not died of it");
                    assert_eq!(task.begun, tries);
                }
                End::Poisonous(worker) => assert_eq!(lost[&worker], Some(id)),
                End::TimedOut(_) => assert!(task.wish.timeout.is_some() && task.begun >= 1),
                End::Cancelled => assert!(task.is_cancelled),
                End::Killed(_) => assert!(task.may_be_killed || is_stopped),
                End::NoWorkers => {}
                End::Stopped => assert!(is_stopped),
            }
            if matches!(end, End::Cancelled | End::Stopped | End::NoWorkers) {
                assert!(task.begun < tries, "{id:?} has begun: {end:?}");
            }
        }

        fn submit(&mut self) {
            let id = TaskId(self.next);
            self.next += 1;
            let timeout = self.random.one_in(4).then_some(TICK * 8);
            let retries = u32::try_from(self.random.below(3)).unwrap();
            let wish = Wish { timeout, retries };
            self.tasks.insert(
                id,
                Task {
                    wish,
                    ..Task::default()
                },
            );
            self.schedule.submit(id, wish, self.now);
            self.act();
        }

        fn cancel(&mut self) {
            let open: Vec<_> = self.open().collect();
            let Some(id) = self.random.pick(&open) else {
                return;
            };
            let running = self.random.one_in(2);
            let task = self.tasks.get_mut(&id).unwrap();
            task.is_cancelled = true;
            task.may_be_killed |= running;
            self.tell(Event::Cancelled { task: id, running });
        }

        fn open(&self) -> impl Iterator<Item = TaskId> {
            let open = self.tasks.iter().filter(|(_, task)| task.end.is_none());
            open.map(|(id, _)| *id)
        }

        /// One worker does one step.
        fn work(&mut self) {
            let ids: Vec<_> = self.workers.keys().copied().collect();
            let Some(id) = self.random.pick(&ids) else {
                return;
            };
            let (dies, hostile) = (self.random.one_in(60), self.is_hostile);
            let worker = self.workers.get_mut(&id).unwrap();
            if worker.is_dead {
                return;
            }
            // What was sent to it arrives a little later.
            let is_ended = worker.is_killed && self.random.one_in(3)
                || worker.is_retired && self.random.one_in(3)
                || !worker.is_ready && !self.can_start;
            if is_ended || hostile && dies {
                worker.is_dead = true;
                // Whom the pool kills, it kills for one task, and no other is lost.
                let guilty = worker.running.map(|(task, _)| task);
                let guilty = guilty.filter(|_| !worker.is_killed);
                self.lost_to_strangers.insert(id, guilty);
            } else if !worker.is_ready {
                worker.is_ready = true;
                self.tell(Event::Ready(id));
            } else if let Some((task, since)) = worker.running {
                if self.random.one_in(3) {
                    worker.running = None;
                    worker.answers.push_back((task, self.now - since));
                }
            } else if let Some(task) = worker.lane.pop_front() {
                worker.running = Some((task, self.now));
                self.tasks.get_mut(&task).unwrap().begun += 1;
            }
        }

        /// The driver looks at one worker.
        fn look(&mut self) {
            let ids: Vec<_> = self.workers.keys().copied().collect();
            let Some(id) = self.random.pick(&ids) else {
                return;
            };
            let worker = self.workers.get_mut(&id).unwrap();
            let (is_dead, running) = (worker.is_dead, worker.running);
            let mut answers = std::mem::take(&mut worker.answers);
            if !is_dead && answers.len() > 1 && self.random.one_in(2) {
                // It sees a part of them.
                worker.answers = answers.split_off(1);
            }
            let sees_all = worker.answers.is_empty();
            for (task, took) in answers {
                self.tell(Event::Answered(id, task, took));
            }
            if let (Some((task, _)), true) = (running, sees_all)
                && (is_dead || self.random.one_in(2))
            {
                self.tell(Event::Claimed(id, task));
            }
            if is_dead {
                self.workers.remove(&id);
                self.tell(Event::Gone(id));
            } else if self.random.one_in(100) {
                self.tell(Event::Tired(id));
            }
        }

        fn pass(&mut self) {
            self.now += TICK;
            self.tell(Event::Passed);
        }

        fn step(&mut self) {
            match self.random.below(20) {
                0..8 => self.work(),
                8..15 => self.look(),
                _ => self.pass(),
            }
        }

        /// Lets everything come to its end, without more mischief.
        fn finish(mut self) {
            self.is_hostile = false;
            self.can_start = true;
            if self.random.one_in(4) {
                self.is_stopped = true;
                self.tell(Event::Stopped);
            } else {
                self.tell(Event::Closed);
            }
            for _ in 0..200_000 {
                if self.schedule.is_over() {
                    assert_eq!(self.open().next(), None, "a task is left");
                    return;
                }
                self.step();
                // The driver sleeps until something happens.
                if let Some(at) = self.schedule.wake_at()
                    && self.random.one_in(4)
                {
                    self.now = self.now.max(at);
                    self.tell(Event::Passed);
                }
            }
            panic!("it does not end: {:?}", self.schedule);
        }
    }

    fn plan(random: &mut Random) -> Plan {
        let most = usize::try_from(random.below(8)).unwrap() + 1;
        let least = usize::try_from(random.below(4)).unwrap().min(most);
        Plan {
            least,
            most,
            tasks_per_worker: match random.below(5) {
                0 => None,
                count => Some(u32::try_from(count).unwrap()),
            },
            idle_timeout: random.one_in(2).then_some(TICK * 20),
            poison_after: u32::try_from(random.below(4)).unwrap() + 1,
        }
    }

    /// One random life of a pool.
    fn live(seed: u64, steps: u64) {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let plan = plan(&mut random);
        let mut world = World::new(random.0, plan);
        for _ in 0..steps {
            match world.random.below(200) {
                0..60 => world.submit(),
                60..70 => world.cancel(),
                70 => world.is_hostile = !world.is_hostile,
                71 => world.can_start = world.random.one_in(3),
                72 => {
                    let most = usize::try_from(world.random.below(8)).unwrap() + 1;
                    let least = usize::try_from(world.random.below(4)).unwrap();
                    world.tell(Event::Resized { least, most });
                }
                _ => world.step(),
            }
        }
        world.finish();
    }

    /// Every task is resolved exactly once, with an end that is true, whatever happens when.
    #[test]
    fn every_task_is_resolved_once() {
        for seed in 1..=2_000 {
            let lived = std::panic::catch_unwind(|| live(seed, 500));
            assert!(lived.is_ok(), "the seed is {seed}");
        }
    }

    const PLAN: Plan = Plan {
        least: 2,
        most: 2,
        tasks_per_worker: None,
        idle_timeout: None,
        poison_after: 3,
    };
    const AT_ONCE: Moment = Moment::ZERO;
    const LONG: Duration = Duration::from_secs(1);
    const A: WorkerId = WorkerId(0);
    const B: WorkerId = WorkerId(1);

    fn task(number: u64) -> TaskId {
        TaskId(number)
    }

    fn told(schedule: &mut Schedule, event: Event, now: Moment) -> Vec<Action> {
        schedule.tell(event, now);
        schedule.actions()
    }

    /// A pool of two workers that are ready.
    fn ready(plan: Plan) -> Schedule {
        let mut schedule = Schedule::new(plan);
        assert_eq!(schedule.actions(), [Action::Start(A), Action::Start(B)]);
        for worker in [A, B] {
            assert_eq!(told(&mut schedule, Event::Ready(worker), AT_ONCE), []);
        }
        schedule
    }

    fn submitted(schedule: &mut Schedule, number: u64, wish: Wish) -> Vec<Action> {
        schedule.submit(task(number), wish, AT_ONCE);
        schedule.actions()
    }

    #[test]
    fn short_tasks_are_offered_ahead_and_long_ones_are_not() {
        let mut schedule = ready(PLAN);
        for (number, worker) in [(0, A), (1, B)] {
            let offered = submitted(&mut schedule, number, Wish::default());
            assert_eq!(offered, [Action::Offer(worker, task(number))]);
        }
        for number in 2..200 {
            assert_eq!(submitted(&mut schedule, number, Wish::default()), []);
        }
        let answered = Event::Answered(A, task(0), Duration::from_micros(10));
        let offered = told(&mut schedule, answered, AT_ONCE);
        let ahead = offered
            .iter()
            .filter(|action| matches!(action, Action::Offer(A, _)));
        assert_eq!(ahead.count(), 11);
        let answered = Event::Answered(B, task(1), LONG);
        let offered = told(&mut schedule, answered, AT_ONCE);
        assert_eq!(
            offered[..],
            [
                Action::Resolve(task(1), End::Answered),
                Action::Offer(B, task(13))
            ]
        );
    }

    #[test]
    fn idle_worker_gets_what_waits_at_another() {
        let mut schedule = ready(PLAN);
        submitted(&mut schedule, 0, Wish::default());
        submitted(&mut schedule, 1, Wish::default());
        for number in 2..5 {
            submitted(&mut schedule, number, Wish::default());
        }
        // One has short tasks, and is offered all that waits.
        told(
            &mut schedule,
            Event::Answered(A, task(0), Duration::ZERO),
            AT_ONCE,
        );
        let actions = told(&mut schedule, Event::Answered(B, task(1), LONG), AT_ONCE);
        let expected = [
            Action::Resolve(task(1), End::Answered),
            Action::Withdraw(A, task(4)),
        ];
        assert_eq!(actions, expected);
        let actions = told(&mut schedule, Event::Withdrawn(A, task(4)), AT_ONCE);
        assert_eq!(actions, [Action::Offer(B, task(4))]);
    }

    #[test]
    fn worker_is_killed_for_its_own_task_alone() {
        let mut schedule = Schedule::new(Plan {
            least: 1,
            most: 1,
            ..PLAN
        });
        assert_eq!(schedule.actions(), [Action::Start(A)]);
        told(&mut schedule, Event::Ready(A), AT_ONCE);
        let wish = Wish {
            timeout: Some(LONG),
            retries: 9,
        };
        submitted(&mut schedule, 0, Wish::default());
        for number in 1..3 {
            submitted(&mut schedule, number, wish);
        }
        told(
            &mut schedule,
            Event::Answered(A, task(0), Duration::ZERO),
            AT_ONCE,
        );
        told(&mut schedule, Event::Claimed(A, task(1)), AT_ONCE);
        assert_eq!(schedule.wake_at(), Some(LONG));
        // Another worker is on its way, in any case.
        let actions = told(&mut schedule, Event::Passed, LONG);
        assert_eq!(actions, [Action::Withdraw(A, task(2)), Action::Start(B)]);
        // It was quicker: the first has been done, and nobody is to blame.
        assert_eq!(told(&mut schedule, Event::Claimed(A, task(2)), LONG), []);
        let actions = told(&mut schedule, Event::Answered(A, task(1), LONG), LONG);
        assert_eq!(actions, [Action::Resolve(task(1), End::Answered)]);
        let actions = told(&mut schedule, Event::Answered(A, task(2), LONG), LONG);
        let expected = [Action::Resolve(task(2), End::Answered), Action::Retire(A)];
        assert_eq!(actions, expected);
    }

    #[test]
    fn waiting_tasks_fail_when_no_worker_starts_and_later_ones_try_again() {
        let mut schedule = Schedule::new(Plan {
            least: 1,
            most: 1,
            ..PLAN
        });
        schedule.submit(task(0), Wish::default(), AT_ONCE);
        let (mut now, mut started, mut waits) = (AT_ONCE, Vec::new(), Vec::new());
        let end = loop {
            match schedule.actions()[..] {
                [Action::Start(worker)] => {
                    started.push(worker);
                    schedule.tell(Event::Gone(worker), now);
                }
                [] => {
                    let wait = schedule.wake_at().unwrap();
                    waits.push(wait - now);
                    now = wait;
                    schedule.tell(Event::Passed, now);
                }
                [Action::Resolve(_, end)] => break end,
                ref others => panic!("{others:?}"),
            }
        };
        assert_eq!((end, started.len()), (End::NoWorkers, 5));
        assert_eq!(waits, [10, 20, 40, 80].map(Duration::from_millis));
        // Nobody waits, so nothing is tried.
        assert_eq!(schedule.wake_at(), None);
        schedule.submit(task(1), Wish::default(), now);
        let at = schedule.wake_at().unwrap();
        assert!(matches!(
            told(&mut schedule, Event::Passed, at)[..],
            [Action::Start(_)]
        ));
    }

    #[test]
    fn task_that_costs_its_workers_is_set_aside() {
        let mut schedule = ready(PLAN);
        let wish = Wish {
            timeout: None,
            retries: 100,
        };
        let mut actions = submitted(&mut schedule, 0, wish);
        for cost in 1..=PLAN.poison_after {
            let Some(Action::Offer(worker, _)) = actions.pop() else {
                panic!("{actions:?}")
            };
            told(&mut schedule, Event::Claimed(worker, task(0)), AT_ONCE);
            actions = told(&mut schedule, Event::Gone(worker), AT_ONCE);
            if cost == PLAN.poison_after {
                let resolved = Action::Resolve(task(0), End::Poisonous(worker));
                assert!(actions.contains(&resolved), "{actions:?}");
                return;
            }
            for action in actions.clone() {
                if let Action::Start(new) = action {
                    schedule.tell(Event::Ready(new), AT_ONCE);
                }
            }
            actions.extend(schedule.actions());
            actions.retain(|action| matches!(action, Action::Offer(..)));
        }
    }

    #[test]
    fn idle_workers_above_the_least_number_are_let_go() {
        let plan = Plan {
            least: 1,
            idle_timeout: Some(LONG),
            ..PLAN
        };
        let mut schedule = Schedule::new(plan);
        assert_eq!(schedule.actions(), [Action::Start(A)]);
        told(&mut schedule, Event::Ready(A), AT_ONCE);
        submitted(&mut schedule, 0, Wish::default());
        assert_eq!(
            submitted(&mut schedule, 1, Wish::default()),
            [Action::Start(B)]
        );
        told(&mut schedule, Event::Ready(B), AT_ONCE);
        told(&mut schedule, Event::Answered(A, task(0), LONG), AT_ONCE);
        told(&mut schedule, Event::Answered(B, task(1), LONG), LONG / 2);
        assert_eq!(schedule.wake_at(), Some(LONG));
        assert_eq!(
            told(&mut schedule, Event::Passed, LONG),
            [Action::Retire(A)]
        );
        assert_eq!(told(&mut schedule, Event::Gone(A), LONG * 9), []);
        assert_eq!(schedule.wake_at(), None);
    }
}
