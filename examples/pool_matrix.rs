//! Twelve ways in which the work of a pool can go wrong, what happens in each, and in how many seconds. The pool goes on in all
//! of them in which it is left.
//!
//! ```text
//! case                        what happens                                           seconds
//! a job kills itself          it has ended by signal 9, another job has its value      0.003
//! idle workers are killed     the next job has its value                               0.003
//! all workers are killed      2 jobs were lost, 2 that waited have their values        0.005
//! a result is undecodable     the job says: Undecodable, the worker stays              0.001
//! an argument is undecodable  the job says: Arguments, it has not run                  0.001
//! a job exits                 it has ended with exit status: 3                         0.003
//! the initializer fails       the job says: NoWorker, there is no licence              0.310
//! the parent is killed        its 2 workers are gone                                   0.002
//! Ctrl-C                      the program and its 2 workers are gone                   0.002
//! a worker is stopped         all jobs have their values                               0.025
//! too much memory             the job says: OutOfMemory                                0.004
//! an endless job              the job says: TimedOut                                   0.102
//! ```

use procession::{
    Builder, Job, JoinError, JoinErrorKind, Pool, Process, Ran, RemoteError, Stdio,
    pool::{JobState, PoolBuilder},
    process,
    shm::SharedSlice,
};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::{
    error::Error,
    fs, io,
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

/// What the standard library has no names for.
#[allow(unsafe_code, reason = "each is one call")]
mod library {
    unsafe extern "C" {
        pub(super) safe fn kill(id: i32, signal: i32) -> i32;
    }

    pub(super) const SIGINT: i32 = 2;
    pub(super) const SIGKILL: i32 = 9;
    pub(super) const SIGCONT: i32 = 18;
    pub(super) const SIGSTOP: i32 = 19;
}

use library::{SIGCONT, SIGINT, SIGKILL, SIGSTOP};

type Outcome = Result<String, Box<dyn Error>>;

/// Sends a signal to a process, or to a group if the id is negative.
fn send(id: i32, signal: i32) {
    library::kill(id, signal);
}

#[process]
fn square(n: u64) -> u64 {
    n * n
}

#[process]
fn kill_itself() {
    send(std::process::id().cast_signed(), SIGKILL);
}

#[process]
fn leave() {
    std::process::exit(3)
}

#[process]
fn hang() {
    loop {
        thread::park();
    }
}

#[process]
fn hoard() -> usize {
    vec![1_u8; 8 << 30].len()
}

#[process]
fn fail() -> io::Result<()> {
    Err(io::Error::other("there is no licence"))
}

/// Can be encoded, and not be decoded.
#[derive(Serialize)]
struct Cursed;

impl<'de> Deserialize<'de> for Cursed {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(de::Error::custom("it is cursed"))
    }
}

#[process]
fn curse() -> Cursed {
    Cursed
}

#[process]
fn accept(_cursed: Cursed) {}

/// Has a pool whose workers are busy. Tells their ids.
#[process]
fn have_a_pool(ids: &SharedSlice<AtomicU32>) {
    let pool = builder().build().expect("there can be a pool");
    let jobs = [(); 2].map(|()| pool.submit(hang::new()).expect("it is open"));
    jobs.iter().for_each(until_it_runs);
    for (place, worker) in ids.iter().zip(pool.stats().workers) {
        place.store(worker.id, Ordering::Release);
    }
    for job in jobs {
        drop(job.join());
    }
}

/// What is printed by a worker that is lost is not wanted here.
fn settings() -> Builder {
    Builder::new().stderr(Stdio::null())
}

fn builder() -> PoolBuilder {
    Pool::builder().workers(2).worker(settings())
}

/// Waits for what nothing tells of.
fn until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "it has not come about");
        thread::yield_now();
    }
}

fn until_it_runs<T>(job: &Job<T>) {
    until(|| job.state() == JobState::Running);
}

fn is_gone(id: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.is_empty() || stat.contains(") Z ")
}

fn workers(pool: &Pool) -> Vec<i32> {
    let workers = pool.stats().workers;
    let ids = workers.iter().map(|worker| worker.id.cast_signed());
    ids.collect()
}

/// Runs a job that has no value, and another one after it, which has.
fn failure<P: Process>(pool: &Pool, process: P) -> Result<JoinError, Box<dyn Error>> {
    let Err(error) = pool.submit(process)?.join() else {
        return Err("it has a value".into());
    };
    pool.submit(square::new(2))?.join()?;
    Ok(error)
}

fn job_kills_itself(pool: &Pool) -> Outcome {
    let error = failure(pool, kill_itself::new())?;
    let signal = error.signal().ok_or("it has no signal")?;
    Ok(format!(
        "it has ended by signal {signal}, another job has its value"
    ))
}

fn idle_workers_are_killed(pool: &Pool) -> Outcome {
    for id in workers(pool) {
        send(id, SIGKILL);
    }
    pool.submit(square::new(3))?.join()?;
    Ok("the next job has its value".to_owned())
}

fn all_workers_are_killed(pool: &Pool) -> Outcome {
    let busy = [pool.submit(hang::new())?, pool.submit(hang::new())?];
    busy.iter().for_each(until_it_runs);
    let waiting = [pool.submit(square::new(4))?, pool.submit(square::new(5))?];
    for id in workers(pool) {
        send(id, SIGKILL);
    }
    let lost = busy.into_iter().filter_map(|job| job.join().err());
    let lost = lost.filter(|error| error.signal() == Some(SIGKILL)).count();
    let values = waiting
        .into_iter()
        .filter_map(|job| job.join().ok())
        .count();
    Ok(format!(
        "{lost} jobs were lost, {values} that waited have their values"
    ))
}

fn result_is_undecodable(pool: &Pool) -> Outcome {
    let kind = failure(pool, curse::new())?.kind();
    Ok(format!("the job says: {kind:?}, the worker stays"))
}

fn argument_is_undecodable(pool: &Pool) -> Outcome {
    let error = failure(pool, accept::new(Cursed))?;
    let ran = if error.ran() == Ran::No {
        "has not"
    } else {
        "may have"
    };
    Ok(format!("the job says: {:?}, it {ran} run", error.kind()))
}

fn job_exits(pool: &Pool) -> Outcome {
    let error = failure(pool, leave::new())?;
    let status = error.status().ok_or("it has no status")?;
    Ok(format!("it has ended with {status}"))
}

fn initializer_fails(_: &Pool) -> Outcome {
    let pool = builder().initializer(fail::new()).build()?;
    let Err(error) = pool.submit(square::new(1))?.join() else {
        return Err("it has a value".into());
    };
    let chain = format!("{:#}", RemoteError::of(&error));
    let reason = chain.rsplit(": ").next().unwrap_or_default();
    Ok(format!("the job says: {:?}, {reason}", error.kind()))
}

/// Has a process with a pool, tells it to end, and waits until its workers are gone. Returns how
/// many there were.
fn end_a_parent(settings: Builder, signal: i32) -> Result<usize, Box<dyn Error>> {
    let ids = SharedSlice::new(2)?;
    let mut parent = settings.spawn(have_a_pool::new(&ids))?;
    let read = || ids.iter().map(|id: &AtomicU32| id.load(Ordering::Acquire));
    until(|| read().all(|id| id > 0));
    let id = parent.id().cast_signed();
    // Ctrl-C is for all processes of a group.
    send(if signal == SIGINT { -id } else { id }, signal);
    parent.wait()?;
    until(|| read().all(is_gone));
    Ok(read().count())
}

fn parent_is_killed(_: &Pool) -> Outcome {
    let count = end_a_parent(settings(), SIGKILL)?;
    Ok(format!("its {count} workers are gone"))
}

fn ctrl_c(_: &Pool) -> Outcome {
    let count = end_a_parent(settings().process_group(0), SIGINT)?;
    Ok(format!("the program and its {count} workers are gone"))
}

/// If its jobs wait for it, it goes on after a while.
fn worker_is_stopped(pool: &Pool) -> Outcome {
    let id = *workers(pool).first().ok_or("there is no worker")?;
    send(id, SIGSTOP);
    let (over, is_over) = mpsc::channel::<()>();
    let lost = thread::scope(|scope| {
        scope.spawn(move || {
            // It ends when `over` is dropped.
            let _ = is_over.recv_timeout(Duration::from_millis(500));
            send(id, SIGCONT);
        });
        let squares = pool.map((0..40).map(square::new));
        let lost = squares.filter(Result::is_err).count();
        drop(over);
        lost
    });
    Ok(match lost {
        0 => "all jobs have their values".to_owned(),
        lost => format!("{lost} jobs were lost"),
    })
}

fn too_much_memory(_: &Pool) -> Outcome {
    let pool = builder().worker(settings().memory_limit(2 << 30)).build()?;
    let kind = failure(&pool, hoard::new())?.kind();
    Ok(format!("the job says: {kind:?}"))
}

fn endless_job(pool: &Pool) -> Outcome {
    let job = pool.job().timeout(Duration::from_millis(100));
    let kind = job
        .submit(hang::new())?
        .join()
        .err()
        .as_ref()
        .map(JoinError::kind);
    Ok(format!(
        "the job says: {:?}",
        kind.unwrap_or(JoinErrorKind::Taken)
    ))
}

type Case = (&'static str, fn(&Pool) -> Outcome);

const CASES: [Case; 12] = [
    ("a job kills itself", job_kills_itself),
    ("idle workers are killed", idle_workers_are_killed),
    ("all workers are killed", all_workers_are_killed),
    ("a result is undecodable", result_is_undecodable),
    ("an argument is undecodable", argument_is_undecodable),
    ("a job exits", job_exits),
    ("the initializer fails", initializer_fails),
    ("the parent is killed", parent_is_killed),
    ("Ctrl-C", ctrl_c),
    ("a worker is stopped", worker_is_stopped),
    ("too much memory", too_much_memory),
    ("an endless job", endless_job),
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("{:28}{:55}seconds", "case", "what happens");
    for (name, case) in CASES {
        let pool = builder().build()?;
        let ready = pool.map((0..10).map(square::new));
        ready.collect::<Result<Vec<_>, _>>()?;
        until(|| {
            pool.stats()
                .workers
                .iter()
                .filter(|one| one.start_up.is_some())
                .count()
                == 2
        });
        let begun = Instant::now();
        let what = case(&pool)?;
        let seconds = begun.elapsed().as_secs_f64();
        // The pool works on.
        pool.submit(square::new(9))?.join()?;
        println!("{name:28}{what:55}{seconds:7.3}");
    }
    Ok(())
}
