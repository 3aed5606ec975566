//! Kills and stops a worker at every point of its work, one point after the other, and checks what
//! becomes of each job. Does the same to a process that has a pool.
//!
//! The points are those of [`step`](crate::sys::step). There is a new pool for each.

use super::{Job, JobState, Pool, PoolBuilder};
use crate::sys::{
    signal,
    step::{self, Signal, send},
};
use procession::{
    Builder, Child, Fd, JoinError, JoinErrorKind, Ran, StartMethod, process, shm::SharedSlice,
};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    io::{self, PipeReader, Read},
    os::unix::process::ExitStatusExt,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

/// How long anything may take. A longer wait counts as waiting forever.
const SOON: Duration = Duration::from_secs(20);

/// How long a pool may take to end while a worker is stopped.
const WHILE: Duration = Duration::from_millis(20);

/// The size and the descriptors of what goes to a job and comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    Short,
    Middle,
    /// Goes through a memory file of its own.
    Large,
    /// Has a descriptor.
    Carried,
    /// Has more descriptors than a packet can carry.
    Many,
}

const KINDS: [Kind; 5] = [
    Kind::Short,
    Kind::Carried,
    Kind::Large,
    Kind::Middle,
    Kind::Many,
];

#[derive(Debug, Serialize, Deserialize)]
struct Load {
    number: usize,
    kind: Kind,
    body: Vec<u8>,
    files: Vec<Fd<File>>,
}

impl Load {
    fn new(number: usize) -> Self {
        let kind = KINDS[number % KINDS.len()];
        let (length, files) = match kind {
            Kind::Short => (30, 0),
            Kind::Middle => (9_000, 0),
            Kind::Large => (100_000, 0),
            Kind::Carried => (500, 1),
            Kind::Many => (20_000, 300),
        };
        let null = || Fd(File::open("/dev/null").unwrap());
        let byte = |place: usize| u8::try_from((place / 7 + number * 31) % 251).unwrap();
        Self {
            number,
            kind,
            body: (0..length).map(byte).collect(),
            files: (0..files).map(|_| null()).collect(),
        }
    }

    fn check(&self, number: usize) {
        let whole = Self::new(number);
        assert_eq!((self.number, self.kind), (number, whole.kind));
        assert!(self.body == whole.body, "the bytes are of another job");
        assert_eq!(self.files.len(), whole.files.len());
    }
}

/// What all processes of a scene know.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Books {
    /// How often each job has begun.
    begun: SharedSlice<AtomicU32>,
    /// The workers that there were, and before them how many.
    workers: SharedSlice<AtomicU32>,
}

static BOOKS: OnceLock<Books> = OnceLock::new();

impl Books {
    fn new() -> Self {
        Self {
            begun: SharedSlice::new(64).unwrap(),
            workers: SharedSlice::new(64).unwrap(),
        }
    }

    /// Notes a worker. Returns how many there were before.
    fn enter(&self) -> u32 {
        let before = self.workers[0].fetch_add(1, Relaxed);
        let place = usize::try_from(before).unwrap() + 1;
        self.workers[place].store(std::process::id(), Relaxed);
        before
    }

    fn workers(&self) -> Vec<u32> {
        let count = usize::try_from(self.workers[0].load(Relaxed)).unwrap();
        let ids = self.workers[1..=count].iter();
        ids.map(|id| id.load(Relaxed))
            .filter(|id| *id > 0)
            .collect()
    }
}

/// Where a process stops or is killed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Plan {
    point: u64,
    signal: i32,
}

impl Plan {
    fn new(point: u64, signal: Signal) -> Self {
        let signal = signal as i32;
        Self { point, signal }
    }

    fn arm(self) {
        step::arm(self.point, Signal::try_from(self.signal).unwrap());
    }
}

/// The initializer of the workers. The plan is for the first of them.
#[process]
fn enter(books: Books, plan: Option<Plan>) {
    let before = books.enter();
    BOOKS.set(books).expect("a worker begins once");
    if let Some(plan) = plan
        && before == 0
    {
        plan.arm();
    }
}

#[process]
fn echo(load: Load) -> Load {
    let books = BOOKS.get().expect("the initializer has run");
    books.begun[load.number].fetch_add(1, Relaxed);
    load.check(load.number);
    load
}

#[process]
fn id() -> u32 {
    std::process::id()
}

/// From here on the points of this worker count. It begins when the other end of the pipe is
/// closed.
#[process]
fn arm(plan: Plan, mut until: PipeReader) {
    until.read_to_end(&mut Vec::new()).unwrap();
    plan.arm();
}

/// Returns whether this worker has not come to its point.
#[process]
fn disarm() -> bool {
    step::disarm()
}

/// Does something for every point, until it returns that the point was not reached. There must be
/// more points than `least`.
fn each_point(least: u64, mut at: impl FnMut(u64) -> bool) {
    for point in 1.. {
        assert!(point < 300, "it never comes to an end");
        // A point at which a worker wakes the pool is there only while the pool sleeps.
        let attempts = if point > least { 1 } else { 10 };
        if (0..attempts).all(|_| at(point)) {
            assert!(point > least, "only {} points", point - 1);
            return;
        }
    }
}

fn until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !condition() {
        assert!(Instant::now() < deadline, "it has not come about");
        thread::yield_now();
    }
}

/// The letter of its state. `None` if the process is gone.
fn state(id: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

fn is_gone(id: u32) -> bool {
    matches!(state(id), None | Some('Z' | 'X'))
}

/// How jobs are handed to the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// All are in its lane before the points count.
    Ahead,
    /// Each is joined before the next one is submitted. So the pool sleeps while the worker works.
    OneByOne,
}

/// What becomes of a worker that was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    GoesOn,
    /// All jobs are cancelled, and it goes on.
    GoesOnWithout,
    IsKilled,
    /// All jobs are killed.
    LosesAll,
    /// The pool is shut down and has no time for that.
    IsShutDown,
    IsTerminated,
}

/// A pool with one worker, its jobs, and the books.
struct Scene {
    pool: Pool,
    books: Books,
    victim: u32,
    next: usize,
    lost: usize,
}

fn builder(books: &Books, plan: Option<Plan>) -> PoolBuilder {
    Pool::builder()
        .workers(1)
        .start_method(StartMethod::ForkServer)
        .initializer(enter::new(books.clone(), plan))
}

impl Scene {
    fn new(change: impl FnOnce(PoolBuilder) -> PoolBuilder) -> Self {
        let books = Books::new();
        let pool = change(builder(&books, None)).build().unwrap();
        // These are short, so the worker gets more than one at once from now on.
        let ids: Vec<_> = pool.map((0..10).map(|_| id::new())).collect();
        let victim = *ids[9].as_ref().unwrap();
        Self::with(pool, books, victim)
    }

    fn with(pool: Pool, books: Books, victim: u32) -> Self {
        Self {
            pool,
            books,
            victim,
            next: 0,
            lost: 0,
        }
    }

    fn submit(&mut self) -> (usize, Job<Load>) {
        let number = self.next;
        self.next += 1;
        let job = self.pool.submit(echo::new(Load::new(number))).unwrap();
        (number, job)
    }

    /// Joins something. If it has no value, its worker was killed with it.
    fn join<T>(&mut self, result: Result<T, JoinError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                assert_eq!(error.kind(), JoinErrorKind::Signalled, "{error:?}");
                let status = error.status().unwrap();
                assert_eq!(status.signal(), Some(signal::SIGKILL), "{error:?}");
                assert_eq!(error.ran(), Ran::Maybe);
                assert_eq!(error.id(), self.victim, "{error:?}");
                self.lost += 1;
                None
            }
        }
    }

    fn join_load(&mut self, (number, job): (usize, Job<Load>)) {
        let result = job.join();
        let begun = self.books.begun[number].load(Relaxed);
        assert!(begun <= 1, "it has begun {begun} times");
        if let Some(load) = self.join(result) {
            load.check(number);
            assert_eq!(begun, 1);
        }
    }

    /// Has jobs done by a worker with a plan. One of them is cancelled first. Returns what the job
    /// at the end says.
    fn act(&mut self, plan: Plan, manner: Manner) -> Jobs {
        let (reader, writer) = io::pipe().unwrap();
        let first = self.pool.submit(arm::new(plan, reader)).unwrap();
        let mut jobs = Vec::new();
        if manner == Manner::Ahead {
            jobs.extend((0..KINDS.len()).map(|_| self.submit()));
            for which in [1, 0] {
                assert!(jobs[which].1.cancel(), "it has not begun");
                drop(jobs.remove(which));
            }
            jobs.push(self.submit());
            drop(writer);
        } else {
            drop(writer);
        }
        Jobs { first, jobs }
    }

    /// Checks that the pool works on. No job is lost any more.
    fn check(&mut self) {
        let lost = self.lost;
        let jobs: Vec<_> = (0..2 * KINDS.len()).map(|_| self.submit()).collect();
        for job in jobs {
            self.join_load(job);
        }
        assert_eq!(self.lost, lost, "another job was lost");
        assert!(self.pool.shutdown(SOON), "nothing is left to do");
        for id in self.books.workers() {
            assert!(is_gone(id), "the worker is not gone");
        }
    }
}

struct Jobs {
    first: Job<()>,
    jobs: Vec<(usize, Job<Load>)>,
}

/// Kills the worker of a scene at a point. Returns whether the point was not reached.
fn kill_at(point: u64, manner: Manner, scene: &mut Scene) -> bool {
    let plan = Plan::new(point, Signal::SIGKILL);
    let Jobs { first, jobs } = scene.act(plan, manner);
    let last = (manner == Manner::Ahead).then(|| scene.pool.submit(disarm::new()).unwrap());
    scene.join(first.join());
    for job in jobs {
        scene.join_load(job);
    }
    if manner == Manner::OneByOne {
        for _ in KINDS {
            let job = scene.submit();
            scene.join_load(job);
        }
    }
    let last = last.unwrap_or_else(|| scene.pool.submit(disarm::new()).unwrap());
    let is_over = scene.join(last.join()).unwrap_or(false);
    assert!(
        scene.lost <= usize::from(!is_over),
        "{} are lost",
        scene.lost
    );
    is_over
}

#[test]
fn worker_killed_at_any_point_takes_along_its_own_job_at_most() {
    for manner in [Manner::Ahead, Manner::OneByOne] {
        each_point(12, |point| {
            let mut scene = Scene::new(|builder| builder);
            let is_over = kill_at(point, manner, &mut scene);
            scene.check();
            is_over
        });
    }
}

#[test]
fn worker_killed_on_its_way_in_or_out_harms_nobody() {
    // It ends after the job that arms it and one more, or after each job of its successors.
    for (limit, manner) in [
        (11, Manner::Ahead),
        (12, Manner::Ahead),
        (12, Manner::OneByOne),
    ] {
        let mut over = 0;
        for point in 1..20 {
            let mut scene = Scene::new(|builder| builder.max_tasks_per_worker(limit));
            over += u32::from(kill_at(point, manner, &mut scene));
            scene.check();
        }
        // A worker that was replaced cannot be asked whether it has come to its point.
        assert_eq!(over, 0);
    }
    // This is the way in: the points count from the initializer on.
    each_point(6, |point| {
        let (books, plan) = (Books::new(), Plan::new(point, Signal::SIGKILL));
        let pool = builder(&books, Some(plan)).build().unwrap();
        let mut scene = Scene::with(pool, books, 0);
        let jobs: Vec<_> = (0..KINDS.len()).map(|_| scene.submit()).collect();
        until(|| !scene.books.workers().is_empty());
        scene.victim = scene.books.workers()[0];
        for job in jobs {
            scene.join_load(job);
        }
        let last = scene.pool.submit(disarm::new()).unwrap();
        let is_over = scene.join(last.join()).unwrap_or(false);
        assert!(scene.lost <= usize::from(!is_over));
        scene.check();
        is_over
    });
}

#[test]
fn job_whose_worker_is_killed_at_any_point_has_its_value_by_another_attempt() {
    each_point(12, |point| {
        let mut scene = Scene::new(|builder| builder.retries(1));
        // The first one is tried again by another worker, and arms that too.
        let plan = Plan::new(point, Signal::SIGKILL);
        let (reader, writer) = io::pipe().unwrap();
        let first = scene.pool.job().retries(0);
        let first = first.submit(arm::new(plan, reader)).unwrap();
        let jobs: Vec<_> = (0..KINDS.len()).map(|_| scene.submit()).collect();
        let last = scene.pool.submit(disarm::new()).unwrap();
        drop(writer);
        let _ = scene.join(first.join());
        for (number, job) in jobs {
            job.join().unwrap().check(number);
            let begun = scene.books.begun[number].load(Relaxed);
            assert!((1..=2).contains(&begun), "it has begun {begun} times");
        }
        let is_over = last.join().unwrap();
        scene.check();
        is_over
    });
}

/// Stops the worker of a scene at a point. Returns whether the point was not reached.
fn stop_at(point: u64, then: Then, mut scene: Scene) -> bool {
    let plan = Plan::new(point, Signal::SIGSTOP);
    let Jobs { first, mut jobs } = scene.act(plan, Manner::Ahead);
    let last = scene.pool.submit(disarm::new()).unwrap();
    let mut is_stopped = false;
    let victim = scene.victim;
    until(|| {
        is_stopped = state(victim) == Some('T');
        is_stopped || last.is_finished()
    });
    let go_on = || send(victim, Signal::SIGCONT);
    match then {
        Then::GoesOn => go_on(),
        Then::GoesOnWithout => {
            jobs.retain(|(number, job)| {
                let is_cancelled = job.cancel();
                assert!(!is_cancelled || scene.books.begun[*number].load(Relaxed) == 0);
                !is_cancelled
            });
            go_on();
        }
        Then::IsKilled => send(victim, Signal::SIGKILL),
        Then::LosesAll => {
            first.kill();
            last.kill();
            let begun = Instant::now();
            for (number, job) in jobs.drain(..) {
                let was_open = job.kill();
                let result = job.join();
                let begun = scene.books.begun[number].load(Relaxed);
                match result {
                    Ok(load) => load.check(number),
                    Err(error) => match error.kind() {
                        JoinErrorKind::Killed => assert!(was_open),
                        JoinErrorKind::Cancelled => assert!(was_open && begun == 0),
                        _ => panic!("{error:?}"),
                    },
                }
            }
            assert!(begun.elapsed() < SOON, "they waited for a stopped process");
            // If it had no job, it is still there.
            go_on();
            scene.check();
            return !is_stopped;
        }
        Then::IsShutDown | Then::IsTerminated => {
            let begun = Instant::now();
            if then == Then::IsTerminated {
                scene.pool.terminate();
            } else {
                let is_over = scene.pool.shutdown(WHILE);
                assert!(!(is_over && is_stopped), "a worker was stopped");
            }
            assert!(begun.elapsed() < SOON, "it waited for a stopped process");
            assert!(is_gone(victim));
            for (number, job) in jobs {
                let begun = scene.books.begun[number].load(Relaxed);
                match job.join() {
                    Ok(load) => load.check(number),
                    Err(error) => match error.kind() {
                        JoinErrorKind::Killed => assert_eq!(error.ran(), Ran::Maybe),
                        JoinErrorKind::PoolClosed => assert_eq!((begun, error.ran()), (0, Ran::No)),
                        _ => panic!("{error:?}"),
                    },
                }
            }
            return !is_stopped;
        }
    }
    scene.join(first.join());
    for job in jobs {
        scene.join_load(job);
    }
    scene.join(last.join());
    let most = usize::from(then == Then::IsKilled && is_stopped);
    // If it was not stopped, it is killed while it has nothing to do.
    assert!(scene.lost <= most, "{} are lost", scene.lost);
    scene.check();
    !is_stopped
}

fn stop_at_each_point(then: Then) {
    each_point(12, |point| {
        stop_at(point, then, Scene::new(|builder| builder))
    });
}

#[test]
fn worker_stopped_at_any_point_goes_on() {
    stop_at_each_point(Then::GoesOn);
}

#[test]
fn worker_stopped_at_any_point_does_not_do_what_was_cancelled_meanwhile() {
    stop_at_each_point(Then::GoesOnWithout);
}

#[test]
fn worker_stopped_at_any_point_can_be_killed() {
    stop_at_each_point(Then::IsKilled);
}

#[test]
fn worker_stopped_at_any_point_keeps_no_job_that_is_killed() {
    stop_at_each_point(Then::LosesAll);
}

#[test]
fn worker_stopped_at_any_point_does_not_keep_its_pool() {
    stop_at_each_point(Then::IsShutDown);
    stop_at_each_point(Then::IsTerminated);
}

#[test]
fn worker_stopped_at_any_point_keeps_its_own_job_at_most() {
    each_point(3, |point| {
        let mut scene = Scene::new(|builder| builder.workers(2));
        let plan = Plan::new(point, Signal::SIGSTOP);
        let (reader, writer) = io::pipe().unwrap();
        let first = scene.pool.submit(arm::new(plan, reader)).unwrap();
        until(|| first.state() == JobState::Running);
        let victim = scene.pool.stats().longest[0].worker;
        let workers = scene.pool.stats().workers;
        let victim = workers.iter().find(|worker| worker.index == victim);
        let victim = victim.unwrap().id;
        let jobs: Vec<_> = (0..3 * KINDS.len()).map(|_| scene.submit()).collect();
        drop(writer);
        // Nobody lets the worker go on meanwhile.
        until(|| {
            let open = jobs.iter().filter(|(_, job)| !job.is_finished()).count();
            open + usize::from(!first.is_finished()) <= 1
        });
        let is_stopped = state(victim) == Some('T');
        assert!(!is_gone(victim), "it has not had the time");
        // It may come to its point only now. Nothing can ask it not to.
        let (over, is_over) = mpsc::channel::<()>();
        thread::scope(|scope| {
            scope.spawn(move || {
                let tick = Duration::from_millis(1);
                while is_over.recv_timeout(tick) == Err(mpsc::RecvTimeoutError::Timeout) {
                    send(victim, Signal::SIGCONT);
                }
            });
            first.join().unwrap();
            for job in jobs {
                scene.join_load(job);
            }
            assert_eq!(scene.lost, 0);
            scene.check();
            drop(over);
        });
        !is_stopped
    });
}

#[test]
fn room_of_what_was_taken_back_is_used_wherever_the_worker_was_stopped() {
    each_point(4, |point| {
        let mut scene = Scene::new(|builder| builder);
        let plan = Plan::new(point, Signal::SIGSTOP);
        let (reader, writer) = io::pipe().unwrap();
        let first = scene.pool.submit(arm::new(plan, reader)).unwrap();
        // They fill the ring.
        let fill = |_| scene.pool.submit(weigh::new(&[0; 10_000])).unwrap();
        let heavy: Vec<_> = (0..8).map(fill).collect();
        assert!(heavy.iter().all(Job::cancel));
        let mut large = scene.pool.submit(weigh::new(&[0; 16_000])).unwrap();
        let mut last = scene.pool.submit(disarm::new()).unwrap();
        drop(writer);
        let mut is_stopped = false;
        until(|| {
            is_stopped = state(scene.victim) == Some('T');
            is_stopped || last.is_finished()
        });
        // The pool takes what has arrived.
        let _ = scene.pool.stats();
        send(scene.victim, Signal::SIGCONT);
        first.join().unwrap();
        assert_eq!(large.join_timeout(SOON).unwrap(), Some(16_000));
        assert_eq!(last.join_timeout(SOON).unwrap(), Some(!is_stopped));
        scene.check();
        !is_stopped
    });
}

#[process]
fn weigh(bytes: &[u8]) -> usize {
    bytes.len()
}

/// Has a pool, and comes to a point of its own. Returns whether it has not come to it.
#[process]
fn has_a_pool(books: Books, plan: Plan) -> bool {
    let pool = builder(&books, None).workers(2).build().unwrap();
    let mut scene = Scene::with(pool, books, 0);
    // Both have worked.
    let jobs: Vec<_> = (0..10).map(|_| scene.submit()).collect();
    for job in jobs {
        scene.join_load(job);
    }
    plan.arm();
    let jobs: Vec<_> = (0..2 * KINDS.len()).map(|_| scene.submit()).collect();
    let mut cancelled: Vec<_> = (0..5).map(|_| scene.submit()).collect();
    cancelled.retain(|(_, job)| !job.cancel());
    for job in jobs.into_iter().chain(cancelled) {
        scene.join_load(job);
    }
    let is_over = step::disarm();
    scene.check();
    is_over
}

fn start_pool(books: &Books, plan: Plan) -> Child<bool> {
    let builder = Builder::new().start_method(StartMethod::ForkServer);
    let process = has_a_pool::new(books.clone(), plan);
    builder.may_have_children(true).spawn(process).unwrap()
}

#[test]
fn pool_killed_at_any_point_leaves_no_worker() {
    each_point(10, |point| {
        let books = Books::new();
        let child = start_pool(&books, Plan::new(point, Signal::SIGKILL));
        let is_over = match child.join() {
            Ok(is_over) => is_over,
            Err(error) => {
                let status = error.status().expect("it ran");
                assert_eq!(status.signal(), Some(signal::SIGKILL), "{error:?}");
                false
            }
        };
        assert!(!books.workers().is_empty());
        for id in books.workers() {
            until(|| is_gone(id));
        }
        is_over
    });
}

#[test]
fn pool_stopped_at_any_point_goes_on() {
    each_point(10, |point| {
        let books = Books::new();
        let mut child = start_pool(&books, Plan::new(point, Signal::SIGSTOP));
        let mut is_stopped = false;
        until(|| {
            is_stopped = state(child.id()) == Some('T');
            is_stopped || is_gone(child.id())
        });
        // Whatever the workers can do meanwhile, they do.
        thread::yield_now();
        send(child.id(), Signal::SIGCONT);
        let is_over = child.join_timeout(SOON).unwrap();
        is_over.expect("it goes on")
    });
}
