//! Random lives of pools, in which everything happens that can, at the worst moments.
//!
//! The world knows what is true at once. The schedule is told of it late, in batches of several
//! events between two steps, and the world checks each of its decisions. `PROCESSION_SIMULATE=10`
//! lives ten times as many lives as usual.

use super::{Action, End, Event, Moment, Place, Plan, Schedule, TaskId, Why, Wish, WorkerId};
use std::{
    collections::VecDeque,
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

/// How many lives are lived by default.
const LIVES: u64 = 350;

const TICK: Duration = Duration::from_micros(50);

/// The driver looks at an offered task after its timeout, but not earlier than this.
const SHORTEST_LOOK: Duration = Duration::from_millis(1);

/// How often the world may go on while a worker is idle and another one has tasks waiting.
const UNBALANCED: u32 = 12;

/// How long a worker may leave an offer unclaimed before others get it.
const SLOW: Duration = Duration::from_millis(20);

/// How long a worker may leave offers unclaimed before it is killed.
const UNRESPONSIVE: Duration = Duration::from_secs(5);

/// A sequence of numbers that depends on its seed only (xorshift).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }

    fn number(&mut self, end: u32) -> u32 {
        u32::try_from(self.below(end as usize)).unwrap()
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        (!from.is_empty()).then(|| from[self.below(from.len())])
    }
}

/// The number of a task of the world. It is never used again.
type Number = usize;

/// A task as it really is.
struct Task {
    id: TaskId,
    wish: Wish,
    /// How often it has begun.
    begun: u32,
    /// How many workers were lost with it.
    cost: u32,
    is_cancelled: bool,
    may_be_killed: bool,
    /// Whether its last answer was a failure that may be tried again.
    has_failed: bool,
    end: Option<End>,
}

impl Task {
    /// Whether nothing was left to try when it failed.
    fn is_used_up(&self) -> bool {
        self.begun > self.wish.retries || self.is_cancelled
    }
}

/// A worker as it really is.
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent of each other"
)]
struct Worker {
    id: WorkerId,
    is_ready: bool,
    is_dead: bool,
    is_retired: bool,
    /// Whether it does nothing for some time.
    is_stopped: bool,
    /// The kill that is on its way to it, and since when.
    kill: Option<(Why, Moment)>,
    lane: VecDeque<Number>,
    running: Option<(Number, Moment)>,
    /// The answers that the driver has not seen: the task, its beginning and how long it took.
    answers: VecDeque<(Number, Moment, Duration)>,
    /// Whether it has begun a task.
    has_worked: bool,
    known: Known,
}

/// What the schedule was told about a worker.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent of each other"
)]
struct Known {
    is_ready: bool,
    has_worked: bool,
    has_quit: bool,
    /// Whether there was a time when its index was too high.
    was_above: bool,
    /// How many tasks it was offered and has not given back.
    held: u32,
    answered: u32,
    /// Its tasks that it is known to have claimed.
    claimed: Vec<TaskId>,
    /// Since when it has an offer and is not known to run a task.
    waits_since: Option<Moment>,
    /// When it was seen last to claim or answer a task.
    moved_at: Moment,
    /// Whether it has left an offer unclaimed for long, and has claimed nothing since.
    is_slow: bool,
    /// Since when it is ready.
    since: Moment,
    idle_since: Option<Moment>,
    /// How long it has been idle while another one had tasks waiting.
    unbalanced: u32,
}

impl Worker {
    /// Whether the schedule knows that it can take a task.
    fn is_at_work(&self) -> bool {
        let is_leaving = self.is_retired || self.kill.is_some() || self.known.has_quit;
        self.known.is_ready && !is_leaving
    }

    fn is_idle(&self) -> bool {
        self.is_at_work() && self.known.held == 0 && !self.known.is_slow
    }

    fn has(&self, task: Number) -> bool {
        self.lane.contains(&task) || self.running.is_some_and(|(running, _)| running == task)
    }
}

/// How a worker ended.
struct Death {
    id: WorkerId,
    /// The task that it had begun and not answered.
    guilty: Option<(Number, Moment)>,
    kill: Option<(Why, Moment)>,
    again: bool,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent of each other"
)]
struct World {
    random: Random,
    plan: Plan,
    now: Moment,
    schedule: Schedule,
    tasks: Vec<Task>,
    /// The task that each index stands for.
    numbers: Vec<Option<Number>>,
    free: Vec<u32>,
    turns: u32,
    open: usize,
    /// The tasks that wait, in the order in which they must be offered.
    queue: VecDeque<Number>,
    workers: Vec<Option<Worker>>,
    generations: Vec<Option<u32>>,
    deaths: Vec<Death>,
    /// What the driver has to tell since the last actions.
    replies: Vec<Event>,
    /// How many workers have ended in a row before they had begun a task.
    fruitless: u32,
    is_closed: bool,
    is_stopped: bool,
    /// Whether workers die, and tasks are cancelled.
    is_hostile: bool,
    can_start: bool,
    /// Whether each worker dies before it begins its first task.
    is_cursed: bool,
    /// Whether each worker stops before it begins its first task.
    is_frozen: bool,
    events: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let plan = plan(&mut random);
        Self {
            random,
            plan,
            now: Moment::ZERO,
            schedule: Schedule::new(plan),
            tasks: Vec::new(),
            numbers: Vec::new(),
            free: Vec::new(),
            turns: 0,
            open: 0,
            queue: VecDeque::new(),
            workers: Vec::new(),
            generations: Vec::new(),
            deaths: Vec::new(),
            replies: Vec::new(),
            fruitless: 0,
            is_closed: false,
            is_stopped: false,
            is_hostile: true,
            can_start: true,
            is_cursed: false,
            is_frozen: false,
            events: 0,
        }
    }

    /// Tells the schedule an event, and writes down what it knows from it.
    fn tell(&mut self, event: Event) {
        self.events += 1;
        self.schedule.tell(event, self.now);
        match event {
            Event::Ready(id) => {
                let now = self.now;
                let known = &mut self.worker(id).known;
                (known.is_ready, known.since, known.moved_at) = (true, now, now);
            }
            Event::Tired(id) => self.worker(id).known.has_quit = true,
            Event::Claimed { worker, task, .. } => {
                let is_new = !self.worker(worker).known.claimed.contains(&task);
                if is_new && self.schedule.place(task) == Some(Place::Running(worker)) {
                    self.worked(worker);
                    self.worker(worker).known.claimed.push(task);
                    self.note_wait(worker);
                }
            }
            Event::Answered { worker, task, .. } => {
                self.worked(worker);
                self.worker(worker).known.answered += 1;
                self.given_back(worker, task);
            }
            Event::Withdrawn { worker, task } => self.given_back(worker, task),
            Event::Resized { least, most } => {
                self.plan.most = most;
                self.plan.least = least.min(most);
            }
            Event::Closed => self.is_closed = true,
            Event::Stopped => self.is_stopped = true,
            Event::Gone { .. } | Event::Cancelled { .. } => {}
        }
    }

    fn worked(&mut self, id: WorkerId) {
        let now = self.now;
        let known = &mut self.worker(id).known;
        (known.is_slow, known.waits_since, known.moved_at) = (false, None, now);
        if !std::mem::replace(&mut known.has_worked, true) {
            self.fruitless = 0;
        }
    }

    fn given_back(&mut self, worker: WorkerId, task: TaskId) {
        let known = &mut self.worker(worker).known;
        known.held -= 1;
        known.claimed.retain(|claimed| *claimed != task);
        self.note_wait(worker);
        let number = self.numbers[task.index as usize].unwrap();
        self.queue_again(number);
    }

    /// Notes since when a worker has an offer and is not known to run a task.
    fn note_wait(&mut self, worker: WorkerId) {
        let now = self.now;
        let known = &mut self.worker(worker).known;
        if known.held == 0 || !known.claimed.is_empty() {
            known.waits_since = None;
        } else {
            known.waits_since.get_or_insert(now);
        }
    }

    /// Puts a task at the front of the queue if the schedule has queued it.
    fn queue_again(&mut self, task: Number) {
        if self.schedule.place(self.tasks[task].id) == Some(Place::Queued) {
            self.queue.push_front(task);
        }
    }

    fn worker(&mut self, id: WorkerId) -> &mut Worker {
        let worker = self.workers[id.index as usize].as_mut();
        let worker = worker.expect("it is there");
        assert_eq!(worker.id, id);
        worker
    }

    fn present(&self) -> impl Iterator<Item = &Worker> {
        self.workers.iter().flatten()
    }

    /// Has the schedule decide, and does what it says. Returns whether there was anything to do.
    fn cycle(&mut self) -> bool {
        self.schedule.step(self.now);
        let actions: Vec<_> = self.schedule.actions().collect();
        for action in &actions {
            self.act(*action);
        }
        let has_looked = actions
            .iter()
            .any(|action| matches!(action, Action::Look(_)));
        self.check(has_looked);
        for reply in std::mem::take(&mut self.replies) {
            self.tell(reply);
        }
        !actions.is_empty()
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Start(id) => self.start(id),
            Action::Offer(id, task) => self.offer(id, task),
            Action::Withdraw(id, task) => self.withdraw(id, task),
            Action::Look(id) => self.tell_claims(id),
            Action::Retire(id) => self.retire(id),
            Action::Kill(id, why) => self.kill(id, why),
            Action::Resolve(id, end) => self.resolve(id, end),
        }
    }

    fn start(&mut self, id: WorkerId) {
        assert!(!self.is_stopped);
        let place = id.index as usize;
        let lowest = self.workers.iter().position(Option::is_none);
        let lowest = lowest.unwrap_or(self.workers.len());
        assert_eq!(place, lowest, "a lower index is free, or it is in use");
        assert!(place < self.plan.most, "too many");
        if place == self.workers.len() {
            self.workers.push(None);
            self.generations.push(None);
        }
        let before = self.generations[place].replace(id.generation);
        assert!(before.is_none_or(|before| before < id.generation));
        self.workers[place] = Some(Worker {
            id,
            is_ready: false,
            is_dead: false,
            is_retired: false,
            is_stopped: false,
            kill: None,
            lane: VecDeque::new(),
            running: None,
            answers: VecDeque::new(),
            has_worked: false,
            known: Known::default(),
        });
    }

    fn offer(&mut self, id: WorkerId, task: TaskId) {
        let number = self.numbers[task.index as usize].expect("it is open");
        assert_eq!(self.queue.pop_front(), Some(number), "a wrong order");
        let is_ahead = self.worker(id).known.held > 0;
        assert!(!is_ahead || self.plan.ahead);
        assert!(!is_ahead || !self.present().any(Worker::is_idle));
        let (limit, poison) = (self.plan.tasks_per_worker, self.plan.poison_after);
        let worker = self.worker(id);
        assert!(worker.is_at_work());
        worker.known.held += 1;
        worker.known.idle_since = None;
        let known = &worker.known;
        assert!(limit.is_none_or(|limit| known.answered + known.held <= limit));
        worker.lane.push_back(number);
        self.note_wait(id);
        let task = &self.tasks[number];
        assert!(!task.is_cancelled && task.end.is_none());
        assert!(task.cost < poison, "a poisonous task");
        assert!(task.begun <= task.wish.retries, "too many retries");
    }

    fn withdraw(&mut self, id: WorkerId, task: TaskId) {
        let number = self.numbers[task.index as usize].expect("it is open");
        let worker = self.worker(id);
        let claim = worker.running.filter(|(running, _)| *running == number);
        let mut answers = worker.answers.iter();
        if let Some(place) = worker.lane.iter().position(|offered| *offered == number) {
            worker.lane.remove(place);
            let worker = id;
            self.replies.push(Event::Withdrawn { worker, task });
        } else if let Some((_, began)) = claim {
            self.claim(id, number, began);
        } else if let Some(&(_, began, _)) = answers.find(|(answered, ..)| *answered == number) {
            // The driver may see the claim or the answer first.
            if self.random.one_in(2) {
                self.claim(id, number, began);
            } else {
                self.answer_until(id, number);
            }
        } else {
            let is_told = |event: &Event| match event {
                Event::Answered { task: told, .. } => *told == task,
                _ => false,
            };
            assert!(self.replies.iter().any(is_told), "it is not there");
        }
    }

    /// Tells the answers of a worker up to this task.
    fn answer_until(&mut self, id: WorkerId, last: Number) {
        while let Some((number, _, took)) = self.worker(id).answers.pop_front() {
            let answer = self.answer(id, number, took);
            self.replies.push(answer);
            if number == last {
                return;
            }
        }
    }

    fn claim(&mut self, worker: WorkerId, number: Number, began: Moment) {
        let task = self.tasks[number].id;
        self.replies.push(Event::Claimed {
            worker,
            task,
            began,
        });
    }

    /// Tells all claims of a worker whose answers were not told.
    fn tell_claims(&mut self, id: WorkerId) {
        let worker = self.worker(id);
        let answers = worker
            .answers
            .iter()
            .map(|(task, began, _)| (*task, *began));
        let claims: Vec<_> = answers.chain(worker.running).collect();
        for (number, began) in claims {
            self.claim(id, number, began);
        }
    }

    fn retire(&mut self, id: WorkerId) {
        let (plan, now) = (self.plan, self.now);
        let is_over = self.is_closed && self.open == 0;
        let least = if self.is_closed { 0 } else { plan.least };
        let is_at_work = |worker: &&Worker| !worker.is_retired && worker.kill.is_none();
        let has_surplus = self.present().filter(is_at_work).count() > least;
        let worker = self.worker(id);
        assert!(worker.known.is_ready && worker.known.held == 0 && worker.kill.is_none());
        assert!(!std::mem::replace(&mut worker.is_retired, true));
        let known = &worker.known;
        let idle = between(known.idle_since.unwrap_or(now), now);
        let age = between(known.since, now);
        let is_due = known.has_quit
            || known.was_above
            || id.index as usize >= plan.most
            || is_over
            || plan.max_age.is_some_and(|max| age >= max)
            || plan
                .tasks_per_worker
                .is_some_and(|most| known.answered >= most)
            || has_surplus && plan.idle_timeout.is_some_and(|timeout| idle >= timeout);
        assert!(is_due, "it could have worked");
    }

    fn kill(&mut self, id: WorkerId, why: Why) {
        let now = self.now;
        let worker = self.worker(id);
        assert!(worker.kill.is_none(), "it is killed twice");
        worker.kill = Some((why, now));
        if why == Why::Stopped {
            assert!(self.is_stopped);
            return;
        }
        assert!(worker.lane.is_empty(), "an innocent task");
        if why == Why::Unresponsive {
            assert!(worker.running.is_none() && worker.answers.is_empty());
            let waited = between(worker.known.moved_at, now);
            assert!(waited >= UNRESPONSIVE, "it is killed too early");
            return;
        }
        let worker = self.workers[id.index as usize].as_ref().unwrap();
        let answers = worker
            .answers
            .iter()
            .map(|(task, began, _)| (*task, *began));
        let is_guilty = |(number, began): (Number, Moment)| {
            let task = &self.tasks[number];
            match why {
                Why::Cancelled => task.may_be_killed,
                _ => task
                    .wish
                    .timeout
                    .is_some_and(|timeout| began + timeout <= now),
            }
        };
        assert!(
            answers.chain(worker.running).any(is_guilty),
            "{why:?} too early"
        );
    }

    fn resolve(&mut self, id: TaskId, end: End) {
        let number = self.numbers[id.index as usize].take();
        let number = number.expect("it is resolved twice");
        let task = &mut self.tasks[number];
        assert_eq!((task.id, task.end), (id, None));
        task.end = Some(end);
        self.queue.retain(|queued| *queued != number);
        self.free.push(id.index);
        self.open -= 1;
        self.check_end(number, end);
    }

    /// Checks that an end is true.
    fn check_end(&self, number: Number, end: End) {
        let task = &self.tasks[number];
        let is_used_up = task.is_used_up() || self.is_stopped;
        let death = |id: WorkerId| {
            let mut deaths = self.deaths.iter().rev();
            let death = deaths.find(|death| death.id == id).expect("it has ended");
            let (guilty, began) = death.guilty.expect("it had begun a task");
            assert_eq!(guilty, number, "{id:?} has not ended with it");
            (death, began)
        };
        match end {
            End::Answered => {
                assert!(task.begun >= 1);
                assert!(!task.has_failed || is_used_up, "it may be tried again");
            }
            End::Lost(worker) => {
                let (death, _) = death(worker);
                assert_eq!(death.kill, None);
                assert!(is_used_up || !death.again, "it may be tried again");
                assert!(task.cost < self.plan.poison_after);
            }
            End::Poisonous(worker) => {
                assert_eq!(death(worker).0.kill, None);
                assert!(task.cost >= self.plan.poison_after);
            }
            End::TimedOut(worker) => {
                let (death, began) = death(worker);
                let Some((Why::TimedOut, at)) = death.kill else {
                    panic!("it was not killed for that");
                };
                assert!(
                    between(began, at) >= task.wish.timeout.unwrap(),
                    "too early"
                );
                assert!(is_used_up || !death.again, "it may be tried again");
            }
            End::Killed(worker) => match death(worker).0.kill {
                Some((Why::Cancelled, _)) => assert!(task.may_be_killed),
                Some((Why::Stopped, _)) => {}
                other => panic!("{other:?}"),
            },
            End::Cancelled => assert!(task.is_cancelled),
            End::Stopped => assert!(self.is_stopped || self.is_closed),
            End::NoWorkers => assert!(self.fruitless >= 5, "workers can be started"),
        }
        if matches!(end, End::Cancelled | End::Stopped | End::NoWorkers) {
            assert!(task.begun <= task.wish.retries);
            assert!(
                !self.present().any(|worker| worker.has(number)),
                "it is at a worker"
            );
        }
    }

    /// Checks that the schedule has left nothing undone.
    fn check(&mut self, has_looked: bool) {
        let now = self.now;
        let room = self.schedule.room();
        assert!(room > 0 || self.schedule.queued() > 0);
        assert_eq!(self.schedule.queued(), self.queue.len());
        let busy = self.present().filter(|worker| worker.known.held > 0);
        assert_eq!(self.schedule.running(), busy.count());
        let wake_at = self.schedule.wake_at();
        // After a look the driver has the schedule decide again at once.
        assert!(
            has_looked || wake_at.is_none_or(|at| at > now),
            "{now:?} {:?}",
            self.schedule
        );
        let is_loaded = |worker: &Worker| {
            let at_work = worker.is_at_work() && !worker.known.was_above;
            at_work && worker.known.held > 1 && !worker.lane.is_empty()
        };
        let is_unbalanced = self.replies.is_empty() && self.present().any(is_loaded);
        let starting = self.present().filter(|worker| !worker.known.is_ready);
        let idle = self.present().filter(|worker| worker.is_idle());
        let idle_count = idle.count();
        let living = starting.count() + idle_count;
        let least = if self.is_closed { 0 } else { self.plan.least };
        let is_calm = self.replies.is_empty() && !has_looked;
        let has_idle = idle_count > 0;
        for worker in self.workers.iter_mut().flatten() {
            let count = self.schedule.worker_tasks(worker.id).count();
            assert_eq!(count, worker.known.held as usize);
            worker.known.was_above |= worker.id.index as usize >= self.plan.most;
            let is_slow = |since| now >= since + SLOW;
            worker.known.is_slow |= worker.known.waits_since.is_some_and(is_slow);
            if is_calm {
                check_time(worker, &self.tasks, now);
                check_wishes(worker, &self.tasks, &self.schedule);
                check_wait(worker, has_idle, now);
            }
            if worker.is_at_work() && worker.known.held == 0 {
                worker.known.idle_since.get_or_insert(now);
                let is_left = is_calm && !self.queue.is_empty();
                assert!(!is_left, "it has nothing to do, and tasks wait");
            }
            if !worker.is_idle() {
                worker.known.unbalanced = 0;
                continue;
            }
            assert!(
                (worker.id.index as usize) < self.plan.most,
                "its index is too high"
            );
            worker.known.unbalanced += u32::from(is_unbalanced);
            assert!(
                worker.known.unbalanced < UNBALANCED,
                "another one has tasks waiting"
            );
            let since = worker.known.idle_since.unwrap_or(now);
            let idle = self.plan.idle_timeout.filter(|_| living > least);
            assert!(
                idle.is_none_or(|timeout| between(since, now) < timeout),
                "it is idle"
            );
            let age = between(worker.known.since, now);
            assert!(self.plan.max_age.is_none_or(|most| age < most), "it is old");
        }
    }

    fn submit(&mut self) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.numbers.push(None);
            u32::try_from(self.numbers.len() - 1).unwrap()
        });
        self.turns += 1;
        let id = TaskId {
            index,
            turn: self.turns,
        };
        let timeouts = [None, None, None, Some(TICK * 8), Some(TICK * 40)];
        let wish = Wish {
            timeout: self.random.pick(&timeouts).unwrap(),
            retries: self.random.number(3),
        };
        let number = self.tasks.len();
        self.numbers[index as usize] = Some(number);
        self.tasks.push(Task {
            id,
            wish,
            begun: 0,
            cost: 0,
            is_cancelled: false,
            may_be_killed: false,
            has_failed: false,
            end: None,
        });
        self.events += 1;
        self.open += 1;
        self.schedule.submit(id, wish, self.now);
        if !self.is_closed && !self.is_stopped {
            self.queue.push_back(number);
        }
    }

    fn cancel(&mut self) {
        let Some(Some(number)) = self.random.pick(&self.numbers) else {
            return;
        };
        let running = self.random.one_in(2);
        let task = &mut self.tasks[number];
        task.is_cancelled = true;
        task.may_be_killed |= running;
        let task = task.id;
        self.tell(Event::Cancelled { task, running });
        // It is resolved with the next actions if it has waited.
        self.queue.retain(|queued| *queued != number);
    }

    fn pick_worker(&mut self) -> Option<u32> {
        let index = (!self.workers.is_empty()).then(|| self.random.below(self.workers.len()))?;
        self.workers[index].as_ref()?;
        u32::try_from(index).ok()
    }

    /// One worker does one thing.
    fn work(&mut self) {
        let Some(index) = self.pick_worker() else {
            return;
        };
        let worker = self.workers[index as usize].as_mut().unwrap();
        if worker.is_dead {
            return;
        }
        if self.is_frozen && worker.is_ready && !worker.has_worked {
            worker.is_stopped = true;
        }
        let is_ended = (worker.kill.is_some() || worker.is_retired) && self.random.one_in(3)
            || !worker.is_ready && !self.can_start
            || worker.is_ready && !worker.has_worked && self.is_cursed;
        if is_ended || self.is_hostile && self.random.one_in(60) {
            worker.is_dead = true;
        } else if worker.is_stopped {
            // It does nothing.
        } else if !worker.is_ready {
            worker.is_ready = true;
        } else if let Some((task, since)) = worker.running {
            if self.random.one_in(3) {
                worker.running = None;
                worker
                    .answers
                    .push_back((task, since, between(since, self.now)));
            }
        } else if let Some(number) = worker.lane.pop_front() {
            worker.running = Some((number, self.now));
            worker.has_worked = true;
            let task = &mut self.tasks[number];
            task.begun += 1;
            assert!(
                task.begun <= task.wish.retries + 1,
                "it has begun too often"
            );
        }
    }

    /// Some workers stop, some go on.
    fn stop_or_go(&mut self) {
        let goes = self.random.one_in(2);
        for _ in 0..self.random.below(6) {
            let Some(index) = self.pick_worker() else {
                continue;
            };
            let worker = self.workers[index as usize].as_mut().unwrap();
            worker.is_stopped = worker.is_ready && !goes;
        }
    }

    /// The driver looks at one worker.
    fn look(&mut self) {
        let Some(index) = self.pick_worker() else {
            return;
        };
        let worker = self.workers[index as usize].as_mut().unwrap();
        let (id, is_dead) = (worker.id, worker.is_dead);
        if worker.is_ready && !worker.known.is_ready {
            self.tell(Event::Ready(id));
            return;
        }
        while let Some((number, _, took)) = self.worker(id).answers.pop_front() {
            let answer = self.answer(id, number, took);
            self.tell(answer);
            if !is_dead && self.random.one_in(2) {
                // It has seen a part of them.
                return;
            }
        }
        if self.worker(id).running.is_some() && (is_dead || self.random.one_in(3)) {
            self.tell_claims(id);
            for reply in std::mem::take(&mut self.replies) {
                self.tell(reply);
            }
        }
        if is_dead {
            self.bury(id);
        } else if self.is_hostile && self.worker(id).is_at_work() && self.random.one_in(100) {
            self.tell(Event::Tired(id));
        }
    }

    fn answer(&mut self, worker: WorkerId, number: Number, took: Duration) -> Event {
        let again = self.random.one_in(5);
        self.tasks[number].has_failed = again;
        let task = self.tasks[number].id;
        Event::Answered {
            worker,
            task,
            took,
            again,
        }
    }

    /// Tells that a worker has ended.
    fn bury(&mut self, id: WorkerId) {
        let again = self.random.one_in(2);
        let worker = self.workers[id.index as usize].take().unwrap();
        self.deaths.push(Death {
            id,
            guilty: worker.running,
            kill: worker.kill,
            again,
        });
        if let (Some((guilty, _)), None) = (worker.running, worker.kill) {
            self.tasks[guilty].cost += 1;
        }
        self.fruitless += u32::from(!worker.known.has_worked);
        self.tell(Event::Gone { worker: id, again });
        let running = worker.running.map(|(task, _)| task);
        for task in worker.lane.into_iter().rev().chain(running) {
            self.queue_again(task);
        }
    }

    /// Tells something about a task or a worker that is not there any more, or that never was
    /// together.
    fn tell_nonsense(&mut self) {
        let task = match self.random.below(self.tasks.len() + 1) {
            0 => TaskId {
                index: 1 << 20,
                turn: 0,
            },
            number => self.tasks[number - 1].id,
        };
        let worker = match self.random.below(self.deaths.len() + 1) {
            0 => WorkerId {
                index: self.random.number(9),
                generation: 1 << 20,
            },
            number => self.deaths[number - 1].id,
        };
        let (began, took, again) = (self.now, TICK, self.random.one_in(2));
        let event = match self.random.below(6) {
            0 => Event::Claimed {
                worker,
                task,
                began,
            },
            1 => Event::Answered {
                worker,
                task,
                took,
                again,
            },
            2 => Event::Withdrawn { worker, task },
            3 => Event::Ready(worker),
            4 => Event::Tired(worker),
            _ => Event::Gone { worker, again },
        };
        self.schedule.tell(event, self.now);
        self.tell_nonsense_of(task);
    }

    /// Tells something wrong about a task, and a worker that is there.
    fn tell_nonsense_of(&mut self, task: TaskId) {
        let (is_over, running) = (self.schedule.place(task).is_none(), self.random.one_in(2));
        if is_over {
            self.schedule
                .tell(Event::Cancelled { task, running }, self.now);
        }
        let Some(index) = self.pick_worker() else {
            return;
        };
        let worker = self.workers[index as usize].as_ref().unwrap().id;
        if !self.schedule.worker_tasks(worker).any(|held| held == task) {
            let (took, again) = (TICK, running);
            let event = Event::Answered {
                worker,
                task,
                took,
                again,
            };
            self.schedule.tell(event, self.now);
        }
        // Nobody has asked for that.
        self.schedule
            .tell(Event::Withdrawn { worker, task }, self.now);
    }

    /// The driver does all that it can, and sleeps for some time.
    fn pass(&mut self, sleeps: bool) {
        self.flush();
        self.now += TICK;
        if sleeps && let Some(at) = self.schedule.wake_at() {
            self.now = self.now.max(at);
        }
        self.flush();
    }

    fn flush(&mut self) {
        for _ in 0..1_000 {
            if !self.cycle() {
                return;
            }
        }
        panic!("the driver is kept busy");
    }

    fn step(&mut self, sleeps: bool) {
        match self.random.below(20) {
            0..8 => self.work(),
            8..15 => self.look(),
            15..18 => drop(self.cycle()),
            _ => self.pass(sleeps),
        }
    }

    fn live(&mut self, steps: u64) {
        for _ in 0..steps {
            match self.random.below(200) {
                0..20 => self.submit(),
                20..24 => (0..self.random.below(20)).for_each(|_| self.submit()),
                24..32 => self.cancel(),
                32 => self.is_hostile = !self.is_hostile,
                33 => self.can_start = self.random.one_in(3),
                34 => {
                    let (least, most) = (self.random.below(4), self.random.below(8) + 1);
                    self.tell(Event::Resized { least, most });
                }
                39..42 => self.stop_or_go(),
                35..38 => self.tell_nonsense(),
                // For some time nothing is submitted.
                38 => (0..self.random.below(300)).for_each(|_| self.step(true)),
                _ => {
                    let sleeps = self.random.one_in(8);
                    self.step(sleeps);
                }
            }
        }
    }

    /// Lets everything come to its end, with less mischief.
    fn finish(&mut self) {
        self.is_hostile = false;
        self.can_start = !self.random.one_in(4);
        self.is_cursed = self.random.one_in(4);
        self.is_frozen = self.random.one_in(8);
        for worker in self.workers.iter_mut().flatten() {
            // The others are killed in time.
            worker.is_stopped &= worker.running.is_none();
        }
        let stops = self.random.one_in(4);
        self.tell(if stops { Event::Stopped } else { Event::Closed });
        for _ in 0..200_000 {
            if self.schedule.is_over() {
                assert_eq!((self.open, self.present().count()), (0, 0), "a rest");
                return;
            }
            match self.random.below(50) {
                0 => self.submit(),
                1..3 => self.cancel(),
                3 => self.tell_nonsense(),
                number => self.step(number % 2 == 0),
            }
        }
        panic!("it does not end: {:?}", self.schedule);
    }
}

fn between(since: Moment, now: Moment) -> Duration {
    now.checked_sub(since).expect("time goes on")
}

/// Checks that the task of a worker has not run for too long.
fn check_time(worker: &Worker, tasks: &[Task], now: Moment) {
    let Some((number, began)) = worker.running.filter(|_| worker.kill.is_none()) else {
        return;
    };
    if let Some(timeout) = tasks[number].wish.timeout {
        let until = began + timeout.max(SHORTEST_LOOK) + TICK;
        assert!(now <= until, "it runs for too long");
    }
}

/// Checks that a worker that does not claim what it is offered does not keep it.
fn check_wait(worker: &Worker, has_idle: bool, now: Moment) {
    let Some(since) = worker.known.waits_since.filter(|_| worker.kill.is_none()) else {
        return;
    };
    if !worker.lane.is_empty() && worker.running.is_none() && worker.answers.is_empty() {
        assert!(
            !has_idle || now <= since + SLOW + TICK * 2,
            "an idle worker could claim what it has"
        );
        assert!(
            now <= since + UNRESPONSIVE + TICK * 2,
            "it claims nothing, and lives"
        );
    }
}

/// Checks that a worker neither has a task that nobody wants nor runs one that must not run.
fn check_wishes(worker: &Worker, tasks: &[Task], schedule: &Schedule) {
    if worker.kill.is_some() {
        return;
    }
    let mut lane = worker.lane.iter();
    assert!(
        !lane.any(|number| tasks[*number].is_cancelled),
        "it may begin"
    );
    if let Some((number, _)) = worker.running
        && schedule.place(tasks[number].id) == Some(Place::Running(worker.id))
    {
        assert!(!tasks[number].may_be_killed, "it runs on");
    }
}

fn plan(random: &mut Random) -> Plan {
    let most = random.below(8) + 1;
    Plan {
        least: random.below(4).min(most),
        most,
        tasks_per_worker: Some(random.number(5)).filter(|most| *most > 0),
        max_age: random.one_in(4).then_some(TICK * 100),
        idle_timeout: random.one_in(2).then_some(TICK * 20),
        ahead: !random.one_in(4),
        poison_after: random.number(4) + 1,
    }
}

/// Every task is resolved exactly once, with an end that is true, whatever happens when.
#[test]
fn every_task_is_resolved_once() {
    let factor = env::var("PROCESSION_SIMULATE").map_or(1, |factor| factor.parse().unwrap());
    let mut events = 0;
    for seed in 1..=LIVES * factor {
        let mut world = World::new(seed);
        let lived = catch_unwind(AssertUnwindSafe(|| {
            world.live(1_000);
            world.finish();
        }));
        assert!(lived.is_ok(), "the seed is {seed}");
        events += world.events;
    }
    println!("{events} events");
}
