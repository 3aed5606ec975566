//! The workers of a pool: how they begin, how long they stay, and what they know.

use crate::{ends::square, with_builders};
use nix::sys::signal::Signal;
use procession::{
    Builder, JoinErrorKind, Pool, RemoteError, current,
    pool::{JobState, RestartReason},
    process,
};
use procession_tests::{DEADLINE, Directory, eventually, forever, send_signal, within};
use std::{
    collections::BTreeSet,
    env,
    fs::OpenOptions,
    io::{self, Write},
    sync::OnceLock,
    time::Duration,
};

#[process]
fn id() -> u32 {
    std::process::id()
}

#[process]
fn hangs() {
    forever()
}

#[process]
fn place() -> (usize, usize, String) {
    let worker = current().worker().unwrap();
    (worker.index(), worker.count(), current().name().to_owned())
}

#[process]
fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

#[process]
fn naps() {
    std::thread::sleep(Duration::from_millis(5));
}

#[process]
fn asks_for_another() -> u32 {
    current().worker().unwrap().replace();
    std::process::id()
}

#[process]
fn grows(bytes: usize) -> u32 {
    let mut memory = vec![0_u8; bytes];
    memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    std::mem::forget(memory);
    std::process::id()
}

static GREETING: OnceLock<String> = OnceLock::new();

#[process]
fn set_up(greeting: &str) -> io::Result<()> {
    GREETING.set(greeting.to_owned()).map_err(io::Error::other)
}

#[process]
fn greeting() -> Option<String> {
    GREETING.get().cloned()
}

#[process]
fn fails() -> Result<(), RemoteError> {
    Err(io::Error::other("there is no licence"))?
}

#[process]
fn panics() {
    panic!("there is no luck");
}

#[process]
fn appends(path: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    // In one piece, since other workers append too.
    file.write_all(format!("{}\n", std::process::id()).as_bytes())
}

#[test]
fn worker_knows_its_place() {
    with_builders(|builder| {
        let pool = builder.name("mill").workers(3).build().unwrap();
        let places: BTreeSet<_> = pool
            .map((0..60).map(|_| place::new()))
            .map(Result::unwrap)
            .collect();
        for (index, count, name) in places {
            assert!(index < 3);
            assert_eq!((count, name), (3, format!("mill-worker-{index}")));
        }
        assert_eq!(current().worker(), None);
    });
}

#[test]
fn settings_are_those_of_the_worker() {
    with_builders(|builder| {
        let pool = builder
            .workers(1)
            .threads_per_worker(3)
            .worker(Builder::new().env("COLOUR", "blue"))
            .each_worker(|index, worker| worker.env("INDEX", index.to_string()))
            .build()
            .unwrap();
        let get = |name| pool.submit(variable::new(name)).unwrap().join().unwrap();
        assert_eq!(get("COLOUR").as_deref(), Some("blue"));
        assert_eq!(get("INDEX").as_deref(), Some("0"));
        assert_eq!(get("RAYON_NUM_THREADS").as_deref(), Some("3"));
        assert_eq!(get("OMP_NUM_THREADS").as_deref(), Some("3"));
    });
}

#[test]
fn worker_is_replaced_after_its_tasks() {
    for tasks in 1..=3 {
        with_builders(|builder| {
            let pool = builder.max_tasks_per_worker(tasks).build().unwrap();
            let ids: Vec<_> = pool
                .map((0..60).map(|_| id::new()))
                .map(Result::unwrap)
                .collect();
            let different: BTreeSet<_> = ids.iter().copied().collect();
            for worker in &different {
                let count = ids.iter().filter(|id| *id == worker).count();
                assert!(count <= tasks as usize, "{count}");
            }
        });
    }
}

#[test]
fn worker_is_replaced_when_it_asks_for_it_and_when_it_is_too_large() {
    with_builders(|builder| {
        let pool = builder
            .workers(1)
            .max_memory_per_worker(64 << 20)
            .build()
            .unwrap();
        let run = |id: procession::Job<u32>| id.join().unwrap();
        let first = run(pool.submit(id::new()).unwrap());
        assert_eq!(run(pool.submit(asks_for_another::new()).unwrap()), first);
        let second = run(pool.submit(id::new()).unwrap());
        assert_ne!(second, first);
        assert_eq!(run(pool.submit(grows::new(1 << 20)).unwrap()), second);
        assert_eq!(run(pool.submit(grows::new(128 << 20)).unwrap()), second);
        assert_ne!(run(pool.submit(id::new()).unwrap()), second);
        let restarts = pool.stats().last_restarts;
        assert!(
            restarts
                .iter()
                .all(|restart| restart.reason == RestartReason::Retired)
        );
    });
}

#[test]
fn idle_workers_go_and_come_back() {
    with_builders(|builder| {
        let pool = builder
            .workers(2)
            .min_workers(1)
            .idle_timeout(Duration::from_millis(50))
            .build()
            .unwrap();
        eventually("one is there", || pool.stats().workers.len() == 1);
        let endless = [(); 2].map(|()| pool.submit(hangs::new()).unwrap());
        let is_running = |job: &procession::Job<()>| job.state() == JobState::Running;
        eventually("two are busy", || endless.iter().all(is_running));
        assert!(endless.iter().all(procession::Job::kill));
        eventually("one is left", || pool.stats().workers.len() == 1);
    });
}

#[test]
fn old_worker_is_replaced() {
    with_builders(|builder| {
        let pool = builder
            .workers(1)
            .max_age(Duration::from_millis(100))
            .build()
            .unwrap();
        let first = pool.submit(id::new()).unwrap().join().unwrap();
        eventually("another one is there", || {
            pool.submit(id::new()).unwrap().join().unwrap() != first
        });
    });
}

#[test]
fn initializer_runs_in_each_worker_before_its_jobs() {
    with_builders(|builder| {
        let pool = builder
            .initializer(set_up::new("good day"))
            .build()
            .unwrap();
        let greetings = pool.map((0..50).map(|_| greeting::new()));
        assert!(
            greetings
                .map(Result::unwrap)
                .all(|text| text.as_deref() == Some("good day"))
        );
        for worker in pool.stats().workers {
            send_signal(worker.id, Signal::SIGKILL);
        }
        let text = pool.submit(greeting::new()).unwrap().join().unwrap();
        assert_eq!(text.as_deref(), Some("good day"));
    });
}

#[test]
fn failing_initializer_is_the_reason_of_the_jobs() {
    with_builders(|builder| {
        for (pool, expected) in [
            (
                builder.clone().initializer(fails::new()),
                "there is no licence",
            ),
            (
                builder.clone().initializer(panics::new()),
                "there is no luck",
            ),
        ] {
            let pool = pool.build().unwrap();
            let jobs: Vec<_> = (0..5)
                .map(|n| pool.submit(square::new(n)).unwrap())
                .collect();
            for job in jobs {
                let error = job.join().unwrap_err();
                assert_eq!(error.kind(), JoinErrorKind::NoWorker);
                let text = format!("{:#}", RemoteError::of(&error));
                assert!(text.contains(expected), "{text}");
            }
            assert!(pool.stats().restarts < 20);
        }
    });
}

#[test]
fn later_jobs_do_not_wait_for_an_initializer_that_has_failed() {
    with_builders(|builder| {
        let pool = builder.initializer(fails::new()).build().unwrap();
        let results = pool.map((0..500).map(square::new));
        let kinds: BTreeSet<_> = results
            .map(|result| format!("{:?}", result.unwrap_err().kind()))
            .collect();
        assert!(kinds.iter().eq(["NoWorker"]), "{kinds:?}");
        assert!(pool.stats().restarts < 40);
        assert!(pool.shutdown(Duration::from_secs(20)));
    });
}

#[test]
fn finalizer_runs_in_each_worker_that_is_let_go() {
    with_builders(|builder| {
        let folder = Directory::new();
        let path = folder.0.join("ends");
        let path = path.to_str().unwrap();
        let pool = builder.finalizer(appends::new(path)).build().unwrap();
        let ids: BTreeSet<_> = pool
            .map((0..50).map(|_| id::new()))
            .map(Result::unwrap)
            .collect();
        assert!(pool.shutdown(Duration::from_secs(20)));
        let text = std::fs::read_to_string(path).unwrap();
        let ended: BTreeSet<u32> = text.lines().map(|line| line.parse().unwrap()).collect();
        assert!(ended.is_superset(&ids), "{ended:?} {ids:?}");
    });
}

#[test]
fn pool_can_be_resized() {
    with_builders(|builder| {
        let pool = builder.workers(1).build().unwrap();
        pool.resize(3);
        eventually("three are there", || pool.stats().workers.len() == 3);
        pool.resize(1);
        eventually("one is left", || pool.stats().workers.len() == 1);
        assert_eq!(pool.submit(square::new(4)).unwrap().join().unwrap(), 16);
    });
}

#[test]
fn workers_survive_an_interrupt() {
    with_builders(|builder| {
        let pool = builder.build().unwrap();
        let ids: BTreeSet<_> = pool
            .map((0..50).map(|_| id::new()))
            .map(Result::unwrap)
            .collect();
        for worker in &ids {
            send_signal(*worker, Signal::SIGINT);
        }
        let again: BTreeSet<_> = pool
            .map((0..50).map(|_| id::new()))
            .map(Result::unwrap)
            .collect();
        let workers: BTreeSet<_> = pool
            .stats()
            .workers
            .iter()
            .map(|worker| worker.id)
            .collect();
        assert!(workers.is_superset(&ids) && workers.is_superset(&again));
    });
}

#[test]
fn stopped_worker_holds_nothing_up_that_it_has_not_begun() {
    with_builders(|builder| {
        let pool = builder.build().unwrap();
        let first = pool.submit(id::new()).unwrap().join().unwrap();
        send_signal(first, Signal::SIGSTOP);
        let jobs: Vec<_> = (0..40)
            .map(|n| pool.submit(square::new(n)).unwrap())
            .collect();
        for (n, job) in (0..).zip(jobs) {
            assert_eq!(job.join().unwrap(), n * n);
        }
        // It is replaced when it would have something to do for seconds.
        eventually("another one is in its place", || {
            let busy = pool.map((0..200).map(|_| naps::new()));
            assert!(busy.into_iter().all(|done| done.is_ok()));
            let workers = pool.stats().workers;
            workers.len() == 2 && workers.iter().all(|worker| worker.id != first)
        });
    });
}

#[process]
fn number_and_seed() -> (Option<u64>, Option<u64>) {
    let worker = current().worker().unwrap();
    (worker.job(), worker.seed())
}

#[test]
fn job_knows_its_number_and_its_seed() {
    with_builders(|builder| {
        let run = |builder: procession::pool::PoolBuilder| {
            let pool = builder.build().unwrap();
            let jobs = (0..20).map(|_| number_and_seed::new());
            pool.map(jobs).map(Result::unwrap).collect::<Vec<_>>()
        };
        let first = run(builder.clone().seed(7));
        let numbers: Vec<_> = first.iter().map(|(number, _)| number.unwrap()).collect();
        assert!(numbers.iter().copied().eq(0..20));
        let seeds: BTreeSet<_> = first.iter().map(|(_, seed)| seed.unwrap()).collect();
        assert_eq!(seeds.len(), 20);
        assert_eq!(run(builder.clone().seed(7).workers(1)), first);
        assert_ne!(run(builder.clone().seed(8)), first);
        assert!(run(builder).iter().all(|(_, seed)| seed.is_none()));
    });
}

#[process]
fn variables() -> [Option<String>; 2] {
    ["OMP_NUM_THREADS", "GREETING"].map(|name| env::var(name).ok())
}

#[test]
fn settings_of_the_workers_have_no_order() {
    let worker = || Builder::new().env("GREETING", "hello");
    within(DEADLINE, || {
        for builder in [
            Pool::builder().threads_per_worker(1).worker(worker()),
            Pool::builder().worker(worker()).threads_per_worker(1),
        ] {
            let pool = builder.workers(1).build().unwrap();
            let [threads, greeting] = pool.submit(variables::new()).unwrap().join().unwrap();
            assert_eq!(threads.as_deref(), Some("1"));
            assert_eq!(greeting.as_deref(), Some("hello"));
        }
    });
}
