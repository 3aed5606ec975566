//! Submitting jobs, and what may be submitted.

use crate::{ends::square, with_builders, with_pools};
use nix::sys::resource::{Resource, setrlimit};
use procession::{
    ErrorKind, JoinErrorKind, Pool, Process,
    pool::{JobState, TrySubmitError},
    process,
};
use procession_tests::{DEADLINE, Directory, alone, eventually, forever, within};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

#[process]
fn count(text: &str, words: &[String]) -> usize {
    text.len() + words.len()
}

#[derive(Process, Clone, Debug)]
#[process(output = BTreeMap<String, f64>)]
struct Scale {
    values: BTreeMap<String, f64>,
    factor: f64,
}

impl Scale {
    fn run(mut self) -> BTreeMap<String, f64> {
        for value in self.values.values_mut() {
            *value *= self.factor;
        }
        self.values
    }
}

#[process]
fn echo<T: procession::Transfer>(value: T) -> T {
    value
}

#[process]
fn hangs() {
    forever()
}

#[test]
fn different_functions_and_structs_are_in_one_pool() {
    with_pools(|pool| {
        let words = vec!["a".to_owned(); 3];
        let counted = pool.submit(count::new(&"x".repeat(7), &words)).unwrap();
        let values = BTreeMap::from([("one".to_owned(), 1.0)]);
        let scaled = pool
            .submit(Scale {
                values,
                factor: 2.5,
            })
            .unwrap();
        let generic = pool.submit(echo::new(vec![Some(1_u8), None])).unwrap();
        assert_eq!(counted.join().unwrap(), 10);
        assert_eq!(scaled.join().unwrap()["one"].to_bits(), 2.5_f64.to_bits());
        assert_eq!(generic.join().unwrap(), [Some(1), None]);
    });
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Mixed {
    text: String,
    bytes: Vec<u8>,
    numbers: Vec<f64>,
    rest: Vec<(u32, String)>,
}

#[test]
fn values_of_any_size_arrive() {
    with_pools(|pool| {
        for size in [0, 1, 100, 16_000, 17_000, 70_000, 1 << 20, 9 << 20] {
            let mixed = Mixed {
                text: "t".repeat(size / 3),
                bytes: (0..=250).cycle().take(size).collect(),
                numbers: vec![0.5; size / 8],
                rest: vec![(7, "seven".to_owned()); size / 1000],
            };
            let jobs: Vec<_> = (0..4)
                .map(|_| pool.submit(echo::new(mixed.clone())).unwrap())
                .collect();
            for job in jobs {
                assert!(job.join().unwrap() == mixed, "{size}");
            }
        }
    });
}

#[test]
fn full_backlog_is_said_and_waited_for() {
    with_builders(|builder| {
        let pool = builder.workers(1).backlog(2).build().unwrap();
        let running = pool.submit(hangs::new()).unwrap();
        eventually("it runs", || running.state() == JobState::Running);
        let waiting: Vec<_> = (0..2)
            .map(|n| pool.submit(square::new(n)).unwrap())
            .collect();
        let Err(TrySubmitError::Full(back)) = pool.try_submit(square::new(9)) else {
            panic!("it is full");
        };
        thread::scope(|scope| {
            let submitted = scope.spawn(|| pool.submit(back).unwrap().join().unwrap());
            assert!(running.kill());
            assert_eq!(submitted.join().unwrap(), 81);
        });
        for (n, job) in (0..).zip(waiting) {
            assert_eq!(job.join().unwrap(), n * n);
        }
    });
}

#[test]
fn value_is_given_out_once() {
    with_pools(|pool| {
        let mut job = pool.submit(square::new(6)).unwrap();
        eventually("it is done", || job.is_finished());
        assert_eq!(job.try_join().unwrap(), Some(36));
        let error = job.try_join().unwrap_err();
        assert_eq!(error.kind(), JoinErrorKind::Taken);
        let mut endless = pool.submit(hangs::new()).unwrap();
        assert_eq!(endless.try_join().unwrap(), None);
        assert_eq!(
            endless.join_timeout(Duration::from_millis(5)).unwrap(),
            None
        );
        eventually("it runs", || endless.state() == JobState::Running);
        endless.kill();
        assert_eq!(endless.join().unwrap_err().kind(), JoinErrorKind::Killed);
    });
}

#[test]
fn dropped_job_is_cancelled_if_it_has_not_begun() {
    with_builders(|builder| {
        let pool = builder.workers(1).build().unwrap();
        let running = pool.submit(hangs::new()).unwrap();
        eventually("it runs", || running.state() == JobState::Running);
        drop(pool.submit(hangs::new()).unwrap());
        let last = pool.submit(square::new(7)).unwrap();
        assert!(running.kill());
        // The dropped one would hang the only worker.
        assert_eq!(last.join().unwrap(), 49);
    });
}

#[test]
fn many_threads_use_one_pool() {
    with_pools(|pool| {
        thread::scope(|scope| {
            for thread in 0..8_u64 {
                let pool = &pool;
                scope.spawn(move || {
                    let jobs: Vec<_> = (0..200)
                        .map(|n| pool.submit(square::new(thread * 1000 + n)).unwrap())
                        .collect();
                    for (n, job) in (0..).zip(jobs) {
                        assert_eq!(job.join().unwrap(), (thread * 1000 + n).pow(2));
                    }
                });
            }
        });
    });
}

static POOL: LazyLock<Pool> = LazyLock::new(|| Pool::builder().workers(2).build().unwrap());

#[test]
fn pool_can_be_in_a_static() {
    within(DEADLINE, || {
        assert_eq!(POOL.submit(square::new(2)).unwrap().join().unwrap(), 4);
        let global = Pool::global().unwrap();
        assert_eq!(global.submit(square::new(3)).unwrap().join().unwrap(), 9);
        assert!(std::ptr::eq(global, Pool::global().unwrap()));
    });
}

#[process]
fn uses_the_global_pool() -> bool {
    Pool::global().is_err_and(|error| error.kind() == ErrorKind::DaemonicChildren)
}

#[process]
fn nests(depth: u32) -> u32 {
    if depth == 0 {
        return 1;
    }
    let pool = Pool::builder().workers(2).build().unwrap();
    let jobs = [(); 2].map(|()| pool.submit(nests::new(depth - 1)).unwrap());
    1 + jobs.map(|job| job.join().unwrap()).iter().sum::<u32>()
}

#[test]
fn job_can_use_a_pool_of_its_own_but_not_its_own_pool() {
    with_pools(|pool| {
        assert_eq!(pool.submit(nests::new(2)).unwrap().join().unwrap(), 7);
    });
    within(DEADLINE, || {
        let job = Pool::global().unwrap().submit(uses_the_global_pool::new());
        assert!(job.unwrap().join().unwrap());
    });
}

static NEXT: AtomicU64 = AtomicU64::new(0);

#[process]
fn counts() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[test]
fn statics_of_a_worker_stay_from_job_to_job() {
    with_builders(|builder| {
        let pool = builder.workers(1).build().unwrap();
        for expected in 0..10 {
            assert_eq!(
                pool.submit(counts::new()).unwrap().join().unwrap(),
                expected
            );
        }
        assert_eq!(NEXT.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn numbers_add_up() {
    with_builders(|builder| {
        let pool = builder.workers(2).build().unwrap();
        for n in 0..20 {
            pool.submit(square::new(n)).unwrap().join().unwrap();
        }
        let endless = pool.submit(hangs::new()).unwrap();
        eventually("it runs", || endless.state() == JobState::Running);
        let stats = pool.stats();
        assert_eq!((stats.done, stats.running, stats.queued), (20, 1, 0));
        assert_eq!(stats.run_time.count(), 20);
        assert_eq!(
            stats.workers.iter().map(|worker| worker.tasks).sum::<u64>(),
            20
        );
        assert!(stats.workers.iter().any(|worker| worker.start_up.is_some()));
        assert_eq!(
            (stats.longest[0].job, stats.longest[0].function),
            (20, "hangs")
        );
        endless.kill();
        endless.join().unwrap_err();
        let stats = pool.stats();
        assert_eq!(stats.failed[&JoinErrorKind::Killed], 1);
        assert_eq!(stats.restarts, 1);
    });
}

#[process]
fn fills(milliseconds: u64, bytes: usize) -> Vec<u8> {
    thread::sleep(Duration::from_millis(milliseconds));
    vec![7; bytes]
}

#[test]
fn large_values_take_few_descriptors() {
    alone(|| {
        setrlimit(Resource::RLIMIT_NOFILE, 220, 220).unwrap();
        with_pools(|pool| {
            // The first one lets the others wait for their turn.
            let sizes = (0..700).map(|n| fills::new(if n == 0 { 500 } else { 0 }, 20_000));
            assert!(
                pool.map(sizes)
                    .all(|bytes| bytes.unwrap() == vec![7; 20_000])
            );
            let jobs: Vec<_> = (0..500)
                .map(|_| pool.submit(echo::new(vec![1_u8; 40_000])).unwrap())
                .collect();
            for job in jobs {
                assert_eq!(job.join().unwrap().len(), 40_000);
            }
        });
    });
}

#[test]
fn name_of_a_pool_does_not_make_it_the_global_one() {
    within(DEADLINE, || {
        let pool = Pool::builder()
            .workers(1)
            .name("global-pool")
            .build()
            .unwrap();
        let job = pool.submit(uses_the_global_pool::new()).unwrap();
        assert!(!job.join().unwrap());
    });
}

#[process]
fn touches(path: &str) -> std::io::Result<()> {
    std::fs::write(path, "done")
}

#[test]
fn detached_job_runs_to_its_end() {
    with_builders(|builder| {
        let folder = Directory::new();
        let path = folder.0.join("file");
        let pool = builder.workers(1).build().unwrap();
        let running = pool.submit(hangs::new()).unwrap();
        eventually("it runs", || running.state() == JobState::Running);
        pool.submit(touches::new(path.to_str().unwrap()))
            .unwrap()
            .detach();
        running.kill();
        assert!(pool.shutdown(DEADLINE));
        assert_eq!(std::fs::read_to_string(path).unwrap(), "done");
    });
}
