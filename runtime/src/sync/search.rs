//! Stops a process at every point at which it has the lock of a monitor, one after the other, and
//! has others give back meanwhile; kills a process at every point of a post. Then the state must be
//! exactly right, and nobody may sleep who could go on.
//!
//! The points are those of [`step`](crate::sys::step). A process is started for each.

use super::{
    Barrier, BarrierError, BoundedSemaphore, Event, LockTimeoutError, RwLock, Semaphore,
    monitor::Monitor,
    state::{POSTING, WATCHED},
};
use crate::sys::{
    signal,
    step::{self, Signal},
};
use procession::{Builder, Child, Process, StartMethod, process};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    os::unix::process::ExitStatusExt,
    sync::{TryLockError, mpsc},
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

/// How long anything may take that waits for no stopped process.
const SOON: Duration = Duration::from_secs(10);

/// How long somebody waits who is to get nothing.
const NAP: Duration = Duration::from_millis(3);

/// How long a wait at a barrier takes that is to end while another process is stopped.
const WHILE: Duration = Duration::from_millis(20);

/// What becomes of a process that was stopped.
const ENDS: [Signal; 2] = [Signal::SIGCONT, Signal::SIGKILL];

/// How it went with a process that was not killed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Outcome {
    /// Whether it came to an end before the point.
    is_over: bool,
    way: Way,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Way {
    Passed,
    Broken,
    TimedOut,
}

impl Way {
    fn of<T>(result: Result<T, BarrierError>) -> Self {
        match result {
            Ok(_) => Self::Passed,
            Err(BarrierError::Broken) => Self::Broken,
            Err(BarrierError::TimedOut) => Self::TimedOut,
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Where a process stops or is killed, and how: it is ready before that, and goes on when it is
/// told.
#[derive(Clone, Serialize, Deserialize)]
struct Plan {
    point: u64,
    signal: i32,
    /// How long it waits for what it is not to get, in milliseconds.
    nap: u64,
    /// Whether it is killed at the next point when it goes on.
    is_killed_next: bool,
    ready: Event,
    go: Event,
}

impl Plan {
    fn new(point: u64, signal: Signal) -> Self {
        Self {
            point,
            signal: signal as i32,
            nap: 3,
            is_killed_next: false,
            ready: Event::new().unwrap(),
            go: Event::new().unwrap(),
        }
    }

    /// As [`new`](Self::new), for one that is stopped at a point that it comes to for sure: it
    /// waits for long enough.
    fn to_hold(point: u64) -> Self {
        Self {
            nap: 10_000,
            ..Self::new(point, Signal::SIGSTOP)
        }
    }

    fn nap(&self) -> Duration {
        Duration::from_millis(self.nap)
    }

    /// In the process: from here on the points count.
    fn begin(&self) {
        self.ready.set();
        assert!(self.go.wait_timeout(SOON).unwrap());
        if self.is_killed_next {
            step::arm_next();
        }
        step::arm(self.point, Signal::try_from(self.signal).unwrap());
    }

    fn start<P: Process>(&self, process: P) -> Child<P::Output> {
        let builder = Builder::new()
            .start_method(StartMethod::ForkServer)
            .daemon(true);
        let child = builder.spawn(process).unwrap();
        assert!(self.ready.wait_timeout(SOON).unwrap());
        child
    }
}

/// Does something for every point, until it returns that the process came to its end before. There
/// must be more points than `least`.
fn each_point(least: u64, mut at: impl FnMut(u64) -> bool) {
    for point in 1.. {
        assert!(point < 300, "it never comes to an end");
        // On a machine that does other things, it may wait for the lock for so long that it posts
        // instead, or posts nothing: then it comes to other points, and to fewer.
        let attempts = if point > least { 1 } else { 20 };
        if (0..attempts).all(|_| at(point)) {
            assert!(point > least, "only {} points", point - 1);
            return;
        }
    }
}

/// The letter of its state; none if it is gone.
fn state<T>(child: &Child<T>) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Whether it stops, rather than ends.
fn stops<T>(child: &Child<T>) -> bool {
    let mut is_stopped = false;
    until(|| {
        let state = state(child);
        is_stopped = state == Some('T');
        is_stopped || matches!(state, None | Some('Z' | 'X'))
    });
    is_stopped
}

fn until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !condition() {
        assert!(Instant::now() < deadline, "it has not come about");
        thread::yield_now();
    }
}

/// Does something that must not wait for this process. If it does, the process is killed, so that
/// the test goes on and fails.
fn bounded<T, R>(stopped: &Child<T>, what: &str, act: impl FnOnce() -> R) -> R {
    let begun = Instant::now();
    let handle = stopped.handle();
    let (done, waiting) = mpsc::channel::<()>();
    let watch = thread::spawn(move || {
        if waiting.recv_timeout(SOON) == Err(mpsc::RecvTimeoutError::Timeout) {
            let _ = handle.kill();
        }
    });
    let result = act();
    drop(done);
    watch.join().unwrap();
    assert!(begun.elapsed() < SOON, "{what} waits for a stopped process");
    result
}

/// Joins a process that may have been killed; returns what it says if it was not.
fn join(mut child: Child<Outcome>) -> Option<Outcome> {
    match child.join_timeout(2 * SOON) {
        Ok(None) => panic!("it does not come to its end"),
        Ok(outcome) => outcome,
        Err(error) => {
            let status = error.status().expect("it ran");
            assert_eq!(status.signal(), Some(signal::SIGKILL), "{error:?}");
            None
        }
    }
}

/// Ends the stop of a process in this way.
fn end(child: Child<Outcome>, how: Signal) -> Option<Outcome> {
    // It may have come to its end.
    let _ = child.signal(how as i32);
    join(child)
}

/// Joins a thread that must not sleep any more. It has a deadline of its own, at which it would
/// look again: that is later.
fn awake<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    let begun = Instant::now();
    let result = thread.join().expect("it gets what it waits for");
    assert!(begun.elapsed() < SOON, "it was not woken");
    result
}

/// Waits until somebody has said that it is about to sleep.
fn somebody_sleeps(monitor: &Monitor) {
    until(|| monitor.peek(WATCHED) != 0);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Act {
    Take,
    Give,
    Forget,
    Add,
    Nap,
}

#[process]
fn use_semaphore(semaphore: &Semaphore, act: Act, plan: &Plan) -> Outcome {
    let before = matches!(act, Act::Give | Act::Forget);
    let mut held = before.then(|| semaphore.acquire().unwrap());
    plan.begin();
    match act {
        Act::Take => held = semaphore.acquire_timeout(SOON).unwrap(),
        Act::Give => drop(held.take()),
        Act::Forget => held.take().unwrap().forget(),
        Act::Add => semaphore.add_permits(1),
        Act::Nap => held = semaphore.acquire_timeout(plan.nap()).unwrap(),
    }
    let is_over = step::disarm();
    drop(held);
    Outcome {
        is_over,
        way: Way::Passed,
    }
}

/// What an act of a process may have done to the number of permits, if it was killed or not.
fn effects(act: Act, was_killed: bool) -> &'static [isize] {
    match (act, was_killed) {
        (Act::Forget, false) => &[-1],
        (Act::Forget, true) => &[-1, 0],
        (Act::Add, false) => &[1],
        (Act::Add, true) => &[0, 1],
        _ => &[0],
    }
}

/// How many permits there are, whoever has died with some.
fn count(semaphore: &Semaphore) -> isize {
    let all: Vec<_> = std::iter::from_fn(|| semaphore.try_acquire().unwrap()).collect();
    all.len().try_into().unwrap()
}

fn stop_with_the_lock_of_a_semaphore(act: Act, how: Signal, least: u64) {
    each_point(least, |point| {
        let semaphore = Semaphore::new(3).unwrap();
        let [given, forgotten] = [(); 2].map(|()| semaphore.acquire().unwrap());
        let plan = Plan::new(point, Signal::SIGSTOP);
        let victim = plan.start(use_semaphore::new(&semaphore, act, &plan));
        // Those who sleep have not had one of these.
        let rest = matches!(act, Act::Add | Act::Nap).then(|| semaphore.acquire().unwrap());
        thread::scope(|scope| {
            let take = || {
                let permit = semaphore.acquire_timeout(2 * SOON).unwrap();
                permit.expect("a permit is there").forget();
            };
            let sleepers = (act != Act::Take).then(|| [(); 2].map(|()| scope.spawn(take)));
            if sleepers.is_some() {
                somebody_sleeps(&semaphore.monitor);
            }
            plan.go.set();
            let is_stopped = stops(&victim);
            bounded(&victim, "dropping a guard", || drop(given));
            bounded(&victim, "forgetting a permit", || forgotten.forget());
            bounded(&victim, "adding permits", || semaphore.add_permits(3));
            let passing = bounded(&victim, "trying", || semaphore.try_acquire()).unwrap();
            let timed = || semaphore.acquire_timeout(NAP);
            let timed = bounded(&victim, "a wait with a time", timed).unwrap();
            bounded(&victim, "asking", || semaphore.available_permits());
            drop((passing, timed, rest));
            let outcome = end(victim, how);
            let slept = sleepers.map_or(0, |sleepers| {
                sleepers.into_iter().for_each(awake);
                2
            });
            let total = 3 - 1 + 3 - slept;
            let left = count(&semaphore) - total;
            let possible = effects(act, outcome.is_none());
            assert!(possible.contains(&left), "{left} too many at {point}");
            assert!(!semaphore.monitor.has_posts());
            !is_stopped
        })
    });
}

#[test]
fn stopped_user_of_a_semaphore_keeps_nobody_from_giving_back() {
    for how in ENDS {
        stop_with_the_lock_of_a_semaphore(Act::Take, how, 8);
        stop_with_the_lock_of_a_semaphore(Act::Give, how, 8);
        stop_with_the_lock_of_a_semaphore(Act::Forget, how, 1);
        stop_with_the_lock_of_a_semaphore(Act::Add, how, 2);
        stop_with_the_lock_of_a_semaphore(Act::Nap, how, 1);
    }
}

/// A process that is stopped with the lock, until it is told to go on.
fn stopped_holder<P: Process<Output = Outcome>>(plan: &Plan, process: P) -> Child<Outcome> {
    let holder = plan.start(process);
    plan.go.set();
    assert!(stops(&holder), "it has not come to point {}", plan.point);
    holder
}

#[test]
fn killed_poster_of_permits_leaves_the_number_right() {
    for act in [Act::Give, Act::Forget, Act::Add] {
        each_point(5, |point| {
            let semaphore = Semaphore::new(2).unwrap();
            let plan = Plan::new(point, Signal::SIGKILL);
            let posts = plan.start(use_semaphore::new(&semaphore, act, &plan));
            let rest = (act == Act::Add).then(|| semaphore.acquire().unwrap());
            let holds = Plan::to_hold(4);
            let holder = holds.start(use_semaphore::new(&semaphore, Act::Give, &holds));
            thread::scope(|scope| {
                let take = || {
                    let permit = semaphore.acquire_timeout(2 * SOON).unwrap();
                    permit.expect("a permit is there").forget();
                };
                let sleepers = [(); 2].map(|()| scope.spawn(take));
                somebody_sleeps(&semaphore.monitor);
                holds.go.set();
                assert!(stops(&holder));
                // If the sleepers had the lock for long, then it is stopped in a post.
                let is_held = matches!(semaphore.monitor.lock_soon(), Ok(None));
                plan.go.set();
                let outcome = join(posts);
                let is_posted = semaphore.monitor.requested() != 0;
                assert!(end(holder, Signal::SIGCONT).is_some());
                // One has the permit of the holder. There is another one, or it is added.
                let more = act == Act::Forget || act == Act::Add && !is_posted;
                if more {
                    semaphore.add_permits(1);
                }
                sleepers.into_iter().for_each(awake);
                drop(rest);
                let left = count(&semaphore) - isize::from(more);
                let possible = effects(act, outcome.is_none());
                assert!(possible.contains(&left), "{left} too many at {point}");
                if act == Act::Add && is_held {
                    assert_eq!(left == 1, is_posted);
                }
                outcome.is_some()
            })
        });
    }
}

#[test]
fn bound_is_kept_when_permits_are_posted() {
    let semaphore = BoundedSemaphore::new(3).unwrap();
    semaphore.acquire().unwrap().forget();
    let guard = semaphore.acquire().unwrap();
    let inner = semaphore.inner();
    let holds = Plan::to_hold(6);
    let holder = stopped_holder(&holds, use_semaphore::new(inner, Act::Take, &holds));
    // This cannot be seen now.
    bounded(&holder, "adding permits", || semaphore.add_permits(3)).unwrap();
    let more = bounded(&holder, "adding permits", || semaphore.add_permits(4));
    assert!(more.is_err());
    assert!(end(holder, Signal::SIGCONT).is_some());
    assert_eq!(semaphore.available_permits(), 2);
    assert!(semaphore.add_permits(1).is_err());
    drop(guard);
    assert_eq!(semaphore.available_permits(), 3);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Visit {
    /// Waits for the others.
    Wait,
    TimeOut,
    Abort,
    Reset,
    /// Neither.
    Nothing,
}

impl Visit {
    fn act(self, barrier: &Barrier) -> Way {
        match self {
            Self::Wait => return Way::of(barrier.wait_timeout(2 * SOON)),
            Self::TimeOut => return Way::of(barrier.wait_timeout(NAP)),
            Self::Abort => barrier.abort(),
            Self::Reset => barrier.reset(),
            Self::Nothing => {}
        }
        Way::Passed
    }
}

#[process]
fn use_barrier(barrier: &Barrier, visit: Visit, plan: &Plan) -> Outcome {
    plan.begin();
    let way = visit.act(barrier);
    Outcome {
        is_over: step::disarm(),
        way,
    }
}

/// Everybody can meet there again.
fn check_barrier(barrier: &Barrier) {
    barrier.reset();
    assert!(!barrier.is_broken());
    assert_eq!(barrier.n_waiting(), 0);
    thread::scope(|scope| {
        let wait = || barrier.wait_timeout(SOON).unwrap().is_leader();
        let all: Vec<_> = (0..barrier.parties()).map(|_| scope.spawn(wait)).collect();
        let leaders = all.into_iter().map(awake).filter(|leads| *leads);
        assert_eq!(leaders.count(), 1);
    });
    assert!(!barrier.is_broken());
}

fn stop_with_the_lock_of_a_barrier(visit: Visit, meanwhile: Visit, how: Signal, least: u64) {
    // With `TimeOut` it is one of three, and two are missing.
    let parties = if visit == Visit::TimeOut { 4 } else { 3 };
    each_point(least, |point| {
        loop {
            let barrier = Barrier::new(parties).unwrap();
            let plan = Plan::new(point, Signal::SIGSTOP);
            let victim = plan.start(use_barrier::new(&barrier, visit, &plan));
            let is_over = thread::scope(|scope| {
                let asleep = scope.spawn(|| Way::of(barrier.wait_timeout(3 * SOON)));
                until(|| barrier.n_waiting() == 1);
                let timed = scope.spawn(|| Way::of(barrier.wait_timeout(WHILE)));
                until(|| barrier.n_waiting() == 2 || barrier.is_broken());
                plan.go.set();
                let is_stopped = stops(&victim);
                bounded(&victim, "an abort or reset", || meanwhile.act(&barrier));
                let timed = bounded(&victim, "a wait with a time", || awake(timed));
                bounded(&victim, "asking", || barrier.is_broken());
                bounded(&victim, "asking", || barrier.n_waiting());
                let outcome = end(victim, how);
                let asleep = awake(asleep);
                let context = format!(
                    "{visit:?}, {meanwhile:?}, {how:?}, {point}: {timed:?}, {asleep:?}, {outcome:?}"
                );
                let passed = timed == Way::Passed;
                assert_eq!(asleep == Way::Passed, passed, "{context}");
                match outcome {
                    Some(outcome) if visit == Visit::Wait => {
                        assert_eq!(outcome.way == Way::Passed, passed, "{context}");
                    }
                    _ => assert!(visit == Visit::Wait || !passed, "{context}"),
                }
                let is_broken = match (meanwhile, visit, how) {
                    (Visit::Abort, ..) => true,
                    (Visit::Reset, Visit::TimeOut, _) => barrier.is_broken(),
                    (Visit::Reset, ..) | (_, Visit::Reset, Signal::SIGCONT) => false,
                    (_, Visit::Reset, _) => barrier.is_broken(),
                    _ => !passed,
                };
                assert_eq!(barrier.is_broken(), is_broken, "{context}");
                // A machine that does other things can let the time pass before.
                if timed == Way::TimedOut && !is_stopped {
                    return None;
                }
                Some(!is_stopped)
            });
            check_barrier(&barrier);
            if let Some(is_over) = is_over {
                return is_over;
            }
        }
    });
}

#[test]
fn last_one_that_is_stopped_keeps_no_wait_beyond_its_time() {
    for how in ENDS {
        for meanwhile in [Visit::Nothing, Visit::Abort, Visit::Reset] {
            stop_with_the_lock_of_a_barrier(Visit::Wait, meanwhile, how, 20);
        }
    }
}

#[test]
fn stopped_user_of_a_barrier_keeps_no_wait_beyond_its_time() {
    for how in ENDS {
        for meanwhile in [Visit::Nothing, Visit::Abort, Visit::Reset] {
            for visit in [Visit::TimeOut, Visit::Abort, Visit::Reset] {
                stop_with_the_lock_of_a_barrier(visit, meanwhile, how, 8);
            }
        }
    }
}

#[test]
fn wait_that_cannot_come_in_time_breaks_the_barrier() {
    let barrier = Barrier::new(3).unwrap();
    let holds = Plan::to_hold(4);
    let holder = stopped_holder(&holds, use_barrier::new(&barrier, Visit::Wait, &holds));
    let timed = || Way::of(barrier.wait_timeout(NAP));
    let timed = bounded(&holder, "a wait with a time", timed);
    assert_eq!(timed, Way::TimedOut);
    // It was one of three, and the other two would wait for it.
    let outcome = end(holder, Signal::SIGCONT).unwrap();
    assert_eq!(outcome.way, Way::Broken);
    assert!(barrier.is_broken());
    check_barrier(&barrier);
}

#[test]
fn killed_poster_at_a_barrier_keeps_nobody() {
    for visit in [Visit::TimeOut, Visit::Abort, Visit::Reset] {
        each_point(5, |point| {
            loop {
                if let Some(is_over) = kill_poster_at_a_barrier(visit, point) {
                    return is_over;
                }
            }
        });
    }
}

/// Returns whether it came to an end before the point; none if a time was up too early.
fn kill_poster_at_a_barrier(visit: Visit, point: u64) -> Option<bool> {
    let barrier = Barrier::new(4).unwrap();
    let plan = Plan::new(point, Signal::SIGKILL);
    let posts = plan.start(post_at_barrier::new(&barrier, visit, &plan));
    thread::scope(|scope| {
        let asleep = scope.spawn(|| Way::of(barrier.wait_timeout(3 * SOON)));
        let waiting = 1 + usize::from(visit == Visit::TimeOut);
        until(|| barrier.n_waiting() == waiting || barrier.is_broken());
        let holds = Plan::to_hold(4);
        let holder = holds.start(use_barrier::new(&barrier, Visit::Wait, &holds));
        holds.go.set();
        let is_stopped = stops(&holder);
        plan.go.set();
        let outcome = join(posts);
        let is_posted = barrier.monitor.requested() != 0;
        if visit != Visit::TimeOut && !is_posted {
            barrier.abort();
        }
        let held = end(holder, Signal::SIGCONT).unwrap();
        assert_ne!(held.way, Way::Passed);
        assert_eq!(awake(asleep), Way::Broken);
        if visit != Visit::Reset {
            assert!(barrier.is_broken());
        }
        is_stopped.then_some(outcome.is_some())
    })
}

/// As [`use_barrier`], but a wait that times out begins before the points do.
#[process]
fn post_at_barrier(barrier: &Barrier, visit: Visit, plan: &Plan) -> Outcome {
    if visit == Visit::TimeOut {
        thread::scope(|scope| {
            scope.spawn(|| plan.begin());
            drop(barrier.wait_timeout(20 * WHILE));
        });
    } else {
        plan.begin();
        visit.act(barrier);
    }
    Outcome {
        is_over: step::disarm(),
        way: Way::Passed,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Use {
    Read,
    Write,
    EndRead,
    EndWrite,
    NapToRead,
    NapToWrite,
}

#[process]
fn use_lock(lock: &RwLock<u64>, what: Use, plan: &Plan) -> Outcome {
    let reads = (what == Use::EndRead).then(|| lock.read().unwrap());
    let writes = (what == Use::EndWrite).then(|| lock.write().unwrap());
    plan.begin();
    let is_over = match what {
        Use::Read => {
            let guard = lock.read().unwrap();
            let is_over = step::disarm();
            drop(guard);
            is_over
        }
        Use::Write => {
            let guard = lock.write().unwrap();
            let is_over = step::disarm();
            drop(guard);
            is_over
        }
        Use::EndRead | Use::EndWrite => {
            drop((reads, writes));
            step::disarm()
        }
        Use::NapToRead => {
            let guard = lock.read_timeout(plan.nap());
            let is_over = step::disarm();
            drop(guard);
            is_over
        }
        Use::NapToWrite => {
            let guard = lock.write_timeout(plan.nap());
            let is_over = step::disarm();
            drop(guard);
            is_over
        }
    };
    Outcome {
        is_over,
        way: Way::Passed,
    }
}

/// Takes the lock to write, and adds one; whether it is poisoned does not matter.
fn add_one(lock: &RwLock<u64>) {
    match lock.write_timeout(2 * SOON) {
        Ok(mut value) => *value += 1,
        Err(LockTimeoutError::Poisoned(poisoned)) => *poisoned.into_inner() += 1,
        Err(LockTimeoutError::TimedOut) => panic!("the lock is not had to write"),
    }
}

fn look(lock: &RwLock<u64>) -> u64 {
    match lock.read_timeout(2 * SOON) {
        Ok(value) => *value,
        Err(LockTimeoutError::Poisoned(poisoned)) => *poisoned.into_inner(),
        Err(LockTimeoutError::TimedOut) => panic!("the lock is not had to read"),
    }
}

fn stop_with_the_lock_of_a_lock(what: Use, how: Signal, least: u64) {
    each_point(least, |point| {
        let lock = RwLock::new(0).unwrap();
        let plan = Plan::new(point, Signal::SIGSTOP);
        let victim = plan.start(use_lock::new(&lock, what, &plan));
        let reads = matches!(what, Use::Read | Use::EndRead | Use::NapToWrite);
        let reads = reads.then(|| lock.read().unwrap());
        let writes = (what == Use::NapToRead).then(|| lock.write().unwrap());
        thread::scope(|scope| {
            let sleepers = match what {
                // A writer that waits would keep it out.
                Use::Read | Use::Write | Use::NapToWrite => None,
                _ => Some((
                    scope.spawn(|| add_one(&lock)),
                    scope.spawn(|| {
                        look(&lock);
                    }),
                )),
            };
            if sleepers.is_some() {
                somebody_sleeps(&lock.inner.monitor);
            }
            plan.go.set();
            let is_stopped = stops(&victim);
            bounded(&victim, "dropping a guard", || drop(reads));
            bounded(&victim, "dropping a guard", || drop(writes));
            bounded(&victim, "clearing poison", || lock.clear_poison());
            bounded(&victim, "asking", || lock.is_poisoned());
            bounded(&victim, "trying", || drop(lock.try_read()));
            bounded(&victim, "trying", || drop(lock.try_write()));
            bounded(&victim, "a wait with a time", || {
                drop(lock.read_timeout(NAP));
            });
            bounded(&victim, "a wait with a time", || {
                drop(lock.write_timeout(NAP));
            });
            let outcome = end(victim, how);
            let slept = sleepers.map_or(0, |(writer, reader)| {
                awake(writer);
                awake(reader);
                1
            });
            add_one(&lock);
            assert_eq!(look(&lock), slept + 1);
            let may_poison = outcome.is_none() && matches!(what, Use::Write | Use::EndWrite);
            let may_poison = may_poison || outcome.is_none() && what == Use::NapToWrite;
            assert!(!lock.is_poisoned() || may_poison, "{what:?} at {point}");
            lock.clear_poison();
            assert!(lock.try_write().is_ok() && lock.try_read().is_ok());
            assert!(!lock.inner.monitor.has_posts());
            !is_stopped
        })
    });
}

#[test]
fn stopped_user_of_a_lock_keeps_nobody_from_giving_back() {
    for how in ENDS {
        stop_with_the_lock_of_a_lock(Use::Read, how, 8);
        stop_with_the_lock_of_a_lock(Use::Write, how, 8);
        stop_with_the_lock_of_a_lock(Use::EndRead, how, 8);
        stop_with_the_lock_of_a_lock(Use::EndWrite, how, 8);
        stop_with_the_lock_of_a_lock(Use::NapToRead, how, 1);
        stop_with_the_lock_of_a_lock(Use::NapToWrite, how, 1);
    }
}

#[test]
fn killed_poster_of_a_guard_gives_the_lock_back() {
    for what in [Use::EndRead, Use::EndWrite] {
        each_point(5, |point| {
            let lock = RwLock::new(0).unwrap();
            let plan = Plan::new(point, Signal::SIGKILL);
            let posts = plan.start(use_lock::new(&lock, what, &plan));
            thread::scope(|scope| {
                let reader = (what == Use::EndWrite).then(|| scope.spawn(|| look(&lock)));
                let writer = scope.spawn(|| add_one(&lock));
                somebody_sleeps(&lock.inner.monitor);
                // It is stopped as it says that it waits.
                let holds = Plan::to_hold(1);
                let holder = stopped_holder(&holds, use_lock::new(&lock, Use::NapToWrite, &holds));
                plan.go.set();
                let outcome = join(posts);
                let _ = end(holder, Signal::SIGCONT).unwrap();
                awake(writer);
                reader.map(awake);
                assert_eq!(look(&lock), 1);
                let may_poison = outcome.is_none() && what == Use::EndWrite;
                assert!(!lock.is_poisoned() || may_poison);
                outcome.is_some()
            })
        });
    }
}

#[test]
fn guard_that_is_dropped_in_a_panic_poisons_by_a_post_too() {
    let lock = RwLock::new(0).unwrap();
    let reader = thread::scope(|scope| {
        let write = scope.spawn(|| {
            let mut guard = lock.write().unwrap();
            *guard = 7;
            let holds = Plan::to_hold(1);
            let holder = stopped_holder(&holds, use_lock::new(&lock, Use::NapToRead, &holds));
            // The holder is the thread's value: it is there when the guard has been dropped.
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let _guard = guard;
                panic!("while it writes");
            }));
            assert!(result.is_err());
            holder
        });
        write.join().unwrap()
    });
    assert!(lock.is_poisoned());
    assert!(lock.inner.monitor.has_posts());
    assert!(matches!(lock.try_read(), Err(TryLockError::WouldBlock)));
    assert!(end(reader, Signal::SIGCONT).is_some());
    assert_eq!(look(&lock), 7);
    assert!(lock.is_poisoned());
    lock.clear_poison();
    assert!(lock.try_write().is_ok());
}

#[test]
fn killed_settler_of_permits_settles_each_post_once() {
    each_point(20, |point| {
        let semaphore = Semaphore::new(4).unwrap();
        let [given, forgotten] = [(); 2].map(|()| semaphore.acquire().unwrap());
        let plan = Plan::new(point, Signal::SIGKILL);
        let settler = plan.start(use_semaphore::new(&semaphore, Act::Take, &plan));
        let holds = Plan::to_hold(4);
        let gives_back = use_semaphore::new(&semaphore, Act::Give, &holds);
        let holder = stopped_holder(&holds, gives_back);
        bounded(&holder, "dropping a guard", || drop(given));
        bounded(&holder, "forgetting a permit", || forgotten.forget());
        bounded(&holder, "adding permits", || semaphore.add_permits(2));
        assert!(end(holder, Signal::SIGKILL).is_none());
        plan.go.set();
        let outcome = join(settler);
        assert_eq!(count(&semaphore), 4 - 1 + 2, "at {point}");
        assert!(!semaphore.monitor.has_posts());
        outcome.is_some()
    });
}

#[test]
fn killed_settler_of_guards_settles_each_post_once() {
    for writes in [false, true] {
        each_point(8, |point| {
            let lock = RwLock::new(0).unwrap();
            let what = if writes { Use::Read } else { Use::NapToWrite };
            let plan = Plan::new(point, Signal::SIGKILL);
            let settler = plan.start(use_lock::new(&lock, what, &plan));
            let reader = (!writes).then(|| [(); 2].map(|()| lock.read().unwrap()));
            // One of three stays, so that one that is given back twice is missed.
            let stays = (!writes).then(|| lock.read().unwrap());
            let writer = writes.then(|| lock.write().unwrap());
            let what = if writes { Use::NapToRead } else { Use::Read };
            let holds = Plan::to_hold(1);
            let holder = stopped_holder(&holds, use_lock::new(&lock, what, &holds));
            bounded(&holder, "dropping guards", || drop((reader, writer)));
            assert!(end(holder, Signal::SIGKILL).is_none());
            plan.go.set();
            let outcome = join(settler);
            if stays.is_some() {
                assert!(lock.try_write().is_err(), "it is read, at {point}");
            }
            drop(stays);
            add_one(&lock);
            assert_eq!(look(&lock), 1);
            assert!(!lock.is_poisoned());
            assert!(!lock.inner.monitor.has_posts());
            outcome.is_some()
        });
    }
}

#[test]
fn killed_settler_at_a_barrier_settles_each_post_once() {
    for visit in [Visit::Abort, Visit::Reset] {
        each_point(20, |point| {
            loop {
                if let Some(is_over) = kill_settler_at_a_barrier(visit, point) {
                    return is_over;
                }
            }
        });
    }
}

/// Returns whether it came to an end before the point; none if a time was up too early.
fn kill_settler_at_a_barrier(visit: Visit, point: u64) -> Option<bool> {
    let barrier = Barrier::new(3).unwrap();
    let plan = Plan::new(point, Signal::SIGKILL);
    let settler = plan.start(use_barrier::new(&barrier, visit, &plan));
    let holds = Plan::to_hold(4);
    let holder = holds.start(use_barrier::new(&barrier, Visit::Wait, &holds));
    let (outcome, is_posted) = thread::scope(|scope| {
        let timed = scope.spawn(|| Way::of(barrier.wait_timeout(4 * WHILE)));
        until(|| barrier.n_waiting() == 1 || barrier.is_broken());
        holds.go.set();
        let is_stopped = stops(&holder);
        bounded(&holder, "an abort or reset", || visit.act(&barrier));
        let timed = bounded(&holder, "a wait with a time", || awake(timed));
        assert_ne!(timed, Way::Passed);
        let _ = end(holder, Signal::SIGKILL);
        plan.go.set();
        (join(settler), is_stopped && timed == Way::TimedOut)
    });
    assert_eq!(barrier.is_broken(), visit == Visit::Abort, "at {point}");
    assert_eq!(barrier.n_waiting(), 0);
    assert!(!barrier.monitor.has_posts());
    check_barrier(&barrier);
    is_posted.then_some(outcome.is_some())
}

/// The sleeper looks and sleeps again after the poster has come to a point. The poster is killed at
/// the next one, and nobody else does anything.
#[test]
fn post_is_seen_by_one_that_slept_before_and_is_not_woken_after() {
    each_point(4, |point| {
        let semaphore = Semaphore::new(0).unwrap();
        let plan = Plan {
            is_killed_next: true,
            ..Plan::new(point, Signal::SIGSTOP)
        };
        let posts = plan.start(use_semaphore::new(&semaphore, Act::Add, &plan));
        let holds = Plan {
            nap: 200,
            ..Plan::to_hold(1)
        };
        let naps = use_semaphore::new(&semaphore, Act::Nap, &holds);
        let holder = holds.start(naps);
        let (tell, told) = mpsc::channel();
        thread::scope(|scope| {
            let sleeper = scope.spawn(|| {
                tell.send(step::thread()).unwrap();
                let permit = semaphore.acquire_timeout(2 * SOON).unwrap();
                permit.expect("a permit is there").forget();
            });
            let sleeper_id = told.recv().unwrap();
            somebody_sleeps(&semaphore.monitor);
            holds.go.set();
            // It is stopped as it says that it waits. It rings for nobody.
            assert!(stops(&holder));
            plan.go.set();
            let is_stopped = stops(&posts);
            end(holder, Signal::SIGCONT);
            let path = format!("/proc/self/task/{sleeper_id}/stat");
            until(|| {
                let stat = fs::read_to_string(&path);
                stat.map_or(true, |stat| stat.contains(") S "))
            });
            let outcome = end(posts, Signal::SIGCONT);
            if outcome.is_none() && semaphore.monitor.requested() == 0 {
                semaphore.add_permits(1);
            }
            awake(sleeper);
            !is_stopped
        })
    });
}

/// A poster that was killed costs those who sleep a look now and then, and no wake-up.
#[test]
fn wakeups_come_after_a_poster_was_killed() {
    let semaphore = Semaphore::new(1).unwrap();
    let holds = Plan::to_hold(4);
    let holder = holds.start(use_semaphore::new(&semaphore, Act::Give, &holds));
    holds.go.set();
    assert!(stops(&holder));
    let plan = Plan::new(2, Signal::SIGKILL);
    let posts = plan.start(use_semaphore::new(&semaphore, Act::Add, &plan));
    plan.go.set();
    assert!(join(posts).is_none());
    assert_eq!(semaphore.monitor.peek(POSTING), 1);
    assert!(end(holder, Signal::SIGCONT).is_some());
    let guard = semaphore.acquire().unwrap();
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| semaphore.acquire_timeout(SOON).unwrap().is_some());
        somebody_sleeps(&semaphore.monitor);
        drop(guard);
        assert!(awake(sleeper));
    });
    assert_eq!(semaphore.available_permits(), 1);
}
