//! Every job ends once, with its value or its own reason.

use crate::{with_builders, with_pools};
use nix::sys::signal::Signal;
use procession::{
    Builder, ErrorKind, Fd, JoinErrorKind, Pool, Process, Ran, RemoteError, pool::JobState, process,
};
use procession_tests::{alone, eventually, forever, holdings, send_signal, threads};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::{
    collections::HashSet,
    io,
    os::fd::AsFd,
    sync::{Mutex, PoisonError},
    time::Duration,
};

#[process]
fn id() -> u32 {
    std::process::id()
}

#[process]
pub(crate) fn square(n: u64) -> u64 {
    n * n
}

#[process]
fn panics(message: &str) -> u32 {
    panic!("{message}")
}

#[process]
fn exits(status: i32) -> u32 {
    std::process::exit(status)
}

#[process]
fn aborts() -> u32 {
    std::process::abort()
}

#[process]
fn raises(signal: i32) -> u32 {
    send_signal(std::process::id(), Signal::try_from(signal).unwrap());
    forever()
}

#[process]
fn hangs() -> u32 {
    forever()
}

#[process]
fn allocates(bytes: usize) -> usize {
    vec![1_u8; bytes].len()
}

/// The error of a job, and that the worker goes on or that another one takes its place.
fn end<P: Process<Output: std::fmt::Debug>>(pool: &Pool, process: P) -> procession::JoinError {
    let job = pool.submit(process).unwrap();
    let id = job.id();
    let error = job.join().unwrap_err();
    assert_eq!(error.job(), Some(id), "{error}");
    assert_eq!(pool.submit(square::new(5)).unwrap().join().unwrap(), 25);
    error
}

#[test]
fn value_arrives() {
    with_pools(|pool| {
        let job = pool.submit(square::new(12)).unwrap();
        assert_eq!(job.join().unwrap(), 144);
    });
}

#[test]
fn panic_is_reported_and_does_not_cost_the_worker() {
    with_builders(|builder| {
        let pool = builder.workers(1).build().unwrap();
        let worker = pool.submit(id::new()).unwrap().join().unwrap();
        let error = end(&pool, panics::new("no such luck"));
        assert_eq!(error.kind(), JoinErrorKind::Panicked);
        assert_eq!(error.ran(), Ran::Yes);
        let panic = error.panic().unwrap();
        assert_eq!(panic.message(), "no such luck");
        assert!(panic.file().unwrap().ends_with("ends.rs"));
        assert_eq!(error.id(), worker);
        assert_eq!(pool.submit(id::new()).unwrap().join().unwrap(), worker);
        let text = error.to_string();
        let start = format!(
            "job 1 (`panics`) in process `{}` (pid {worker})",
            error.name()
        );
        assert!(text.starts_with(&start), "{text}");
    });
}

#[test]
fn lost_worker_is_the_reason_of_its_job() {
    with_pools(|pool| {
        let error = end(&pool, exits::new(3));
        assert_eq!(
            (error.kind(), error.ran()),
            (JoinErrorKind::Exited, Ran::Maybe)
        );
        assert_eq!(error.status().unwrap().code(), Some(3));
        let error = end(&pool, exits::new(0));
        assert_eq!(
            (error.kind(), error.ran()),
            (JoinErrorKind::Exited, Ran::Maybe)
        );
        let error = end(&pool, aborts::new());
        assert_eq!(error.signal(), Some(Signal::SIGABRT as i32));
        for signal in [Signal::SIGKILL, Signal::SIGSEGV, Signal::SIGTERM] {
            let error = end(&pool, raises::new(signal as i32));
            assert_eq!(error.kind(), JoinErrorKind::Signalled);
            assert_eq!(
                (error.signal(), error.ran()),
                (Some(signal as i32), Ran::Maybe)
            );
        }
    });
}

#[test]
fn limits_of_a_worker_end_a_job() {
    with_builders(|builder| {
        let limits = Builder::new().memory_limit(1 << 30);
        let pool = builder.clone().worker(limits).build().unwrap();
        let error = end(&pool, allocates::new(8 << 30));
        assert_eq!(error.kind(), JoinErrorKind::OutOfMemory, "{error}");
        assert_eq!(
            pool.submit(allocates::new(100)).unwrap().join().unwrap(),
            100
        );
    });
}

#[test]
fn timeout_counts_from_the_beginning_of_the_job() {
    with_builders(|builder| {
        let pool = builder.workers(1).build().unwrap();
        let timeout = Duration::from_millis(300);
        let jobs: Vec<_> = (0..3)
            .map(|_| pool.job().timeout(timeout).submit(hangs::new()).unwrap())
            .collect();
        let last = pool.submit(square::new(4)).unwrap();
        for job in jobs {
            let error = job.join().unwrap_err();
            assert_eq!(
                (error.kind(), error.ran()),
                (JoinErrorKind::TimedOut, Ran::Maybe)
            );
            assert!(error.to_string().contains("300ms"), "{error}");
        }
        assert_eq!(last.join().unwrap(), 16);
    });
}

#[test]
fn cancelled_job_never_begins() {
    with_builders(|builder| {
        let pool = builder.workers(1).build().unwrap();
        let first = pool.submit(hangs::new()).unwrap();
        eventually("it runs", || first.state() == JobState::Running);
        let second = pool.submit(exits::new(1)).unwrap();
        assert_eq!(second.state(), JobState::Queued);
        assert!(second.cancel());
        assert!(!second.cancel());
        assert!(second.is_finished());
        let error = second.join().unwrap_err();
        assert_eq!(
            (error.kind(), error.ran()),
            (JoinErrorKind::Cancelled, Ran::No)
        );
        // One that runs is not cancelled, but killed.
        assert!(!first.cancel());
        assert!(first.kill());
        let error = first.join().unwrap_err();
        assert_eq!(
            (error.kind(), error.ran()),
            (JoinErrorKind::Killed, Ran::Maybe)
        );
        let done = pool.submit(square::new(2)).unwrap();
        eventually("it is done", || done.is_finished());
        assert!(!done.cancel() && !done.kill());
        assert_eq!(done.join().unwrap(), 4);
    });
}

/// Its encoding or its decoding fails, as it says.
#[derive(Debug)]
struct Fussy(u8);

impl Serialize for Fussy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 == 1 {
            return Err(ser::Error::custom("it will not go"));
        }
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Fussy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            2 => Err(de::Error::custom("it will not come")),
            3 => panic!("it will not even say so"),
            how => Ok(Self(how)),
        }
    }
}

#[process]
#[allow(clippy::needless_pass_by_value, reason = "it is decoded")]
fn takes(fussy: Fussy) -> u8 {
    fussy.0
}

#[process]
fn gives(how: u8) -> Fussy {
    Fussy(how)
}

#[test]
fn what_cannot_travel_fails_its_job_only() {
    with_pools(|pool| {
        assert_eq!(
            pool.submit(takes::new(Fussy(0))).unwrap().join().unwrap(),
            0
        );
        let error = pool.submit(takes::new(Fussy(1))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Encode);
        for how in [2, 3] {
            let error = end(&pool, takes::new(Fussy(how)));
            assert_eq!(
                (error.kind(), error.ran()),
                (JoinErrorKind::Arguments, Ran::No)
            );
            let reason = RemoteError::of(&error);
            assert!(format!("{reason:#}").contains("it will not"), "{reason:#}");
        }
        let error = end(&pool, gives::new(1));
        assert_eq!(
            (error.kind(), error.ran()),
            (JoinErrorKind::Unsendable, Ran::Yes)
        );
        let error = end(&pool, gives::new(2));
        assert_eq!(
            (error.kind(), error.ran()),
            (JoinErrorKind::Undecodable, Ran::Yes)
        );
    });
}

#[process]
fn returns(fails: bool) -> io::Result<u32> {
    if fails {
        return Err(io::Error::from_raw_os_error(2));
    }
    Ok(7)
}

#[test]
fn error_of_the_function_is_its_value() {
    with_pools(|pool| {
        let value = pool.submit(returns::new(false)).unwrap().join().unwrap();
        assert_eq!(value.unwrap(), 7);
        let value = pool.submit(returns::new(true)).unwrap().join().unwrap();
        assert_eq!(value.unwrap_err().raw_os_error(), Some(2));
    });
}

#[process]
#[allow(unsafe_code, reason = "a copy of the worker, without this crate")]
fn copies_itself() -> bool {
    // SAFETY: the worker has one thread.
    let copied = unsafe { nix::unistd::fork() }.unwrap();
    matches!(copied, nix::unistd::ForkResult::Parent { .. })
}

#[test]
fn copy_that_a_job_makes_answers_nothing() {
    with_pools(|pool| {
        assert!(pool.submit(copies_itself::new()).unwrap().join().unwrap());
        assert_eq!(pool.submit(square::new(3)).unwrap().join().unwrap(), 9);
    });
}

#[test]
fn killed_idle_workers_cost_nobody_anything() {
    with_pools(|pool| {
        let mut seen = HashSet::new();
        for round in 0..20 {
            let ids: Vec<_> = (0..4)
                .map(|_| pool.submit(id::new()).unwrap())
                .map(|job| job.join().unwrap())
                .collect();
            seen.extend(ids.iter().copied());
            for worker in pool.stats().workers {
                send_signal(worker.id, Signal::SIGKILL);
            }
            let job = pool.submit(square::new(round)).unwrap();
            assert_eq!(job.join().unwrap(), round * round);
        }
        assert!(seen.len() > 10, "{seen:?}");
    });
}

static TRIES: Mutex<Vec<JoinErrorKind>> = Mutex::new(Vec::new());

#[test]
fn job_is_tried_again_when_asked_for() {
    with_builders(|builder| {
        let pool = builder
            .retries(2)
            .poison_after(2)
            .retry_if(|error| {
                let mut tries = TRIES.lock().unwrap_or_else(PoisonError::into_inner);
                tries.push(error.kind());
                error.kind() != JoinErrorKind::Exited
            })
            .build()
            .unwrap();
        let error = end(&pool, panics::new("again"));
        assert_eq!(
            (error.kind(), error.attempts()),
            (JoinErrorKind::Panicked, Some(3))
        );
        assert!(error.to_string().ends_with("(attempt 3)"), "{error}");
        let error = end(&pool, exits::new(1));
        assert_eq!(
            (error.kind(), error.attempts()),
            (JoinErrorKind::Exited, Some(1))
        );
        let error = end(&pool, aborts::new());
        assert_eq!(
            (error.kind(), error.attempts()),
            (JoinErrorKind::Signalled, Some(2))
        );
        assert!(error.is_set_aside());
        assert_eq!(error.ran(), Ran::Maybe);
        let mut tries = TRIES.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(tries.contains(&JoinErrorKind::Signalled), "{tries:?}");
        tries.clear();
    });
}

#[process]
fn greets(name: Fd<std::os::fd::OwnedFd>) -> io::Result<Fd<std::os::fd::OwnedFd>> {
    let Fd(name) = name;
    name.try_clone().map(Fd)
}

#[test]
fn nothing_is_left_behind() {
    alone(|| {
        with_builders(|builder| {
            let before = (holdings(), threads());
            for _ in 0..3 {
                let pool = builder.clone().build().unwrap();
                let file = std::fs::File::open("/dev/null").unwrap();
                let job = pool.submit(greets::new(Fd(file.into()))).unwrap();
                let back = job.join().unwrap().unwrap();
                assert!(
                    std::fs::read_link(format!(
                        "/proc/self/fd/{}",
                        std::os::fd::AsRawFd::as_raw_fd(&back.as_fd())
                    ))
                    .unwrap()
                    .ends_with("null")
                );
                let large = pool.submit(allocates::new(10)).unwrap();
                assert_eq!(large.join().unwrap(), 10);
                end(&pool, aborts::new());
                let pending: Vec<_> = (0..50)
                    .map(|_| pool.submit(hangs::new()).unwrap())
                    .collect();
                eventually("two run", || {
                    let running = pending
                        .iter()
                        .filter(|job| job.state() == JobState::Running);
                    running.count() == 2
                });
                drop(pool);
                let mut kinds: Vec<_> = pending
                    .into_iter()
                    .map(|job| job.join().unwrap_err().kind())
                    .collect();
                kinds.sort_by_key(|kind| format!("{kind:?}"));
                assert_eq!(kinds[..2], [JoinErrorKind::Killed; 2]);
                assert_eq!(kinds[2..], [JoinErrorKind::PoolClosed; 48]);
            }
            assert_eq!((holdings(), threads()), before);
        });
    });
}

#[test]
fn job_that_is_not_tried_again_has_the_reason_of_its_last_attempt() {
    with_builders(|builder| {
        let pool = builder.workers(1).retries(1_000_000).build().unwrap();
        let job = pool.submit(panics::new("each time")).unwrap();
        eventually("it was tried", || pool.stats().run_time.count() > 5);
        pool.terminate();
        let error = job.join().unwrap_err();
        // It may run at this moment.
        if error.kind() != JoinErrorKind::Killed {
            assert_eq!(error.kind(), JoinErrorKind::Panicked, "{error}");
            assert_eq!(
                (error.panic().unwrap().message(), error.ran()),
                ("each time", Ran::Yes)
            );
        }
        assert!(error.attempts() > Some(5), "{error}");
    });
}

#[process(timeout = Duration::from_millis(50))]
fn hangs_for_a_while() {
    forever()
}

#[test]
fn timeout_of_the_attribute_is_that_of_the_job() {
    with_builders(|builder| {
        let pool = builder.clone().workers(1).build().unwrap();
        let error = end(&pool, hangs_for_a_while::new());
        assert_eq!(error.kind(), JoinErrorKind::TimedOut);
        assert!(error.to_string().contains("50ms"), "{error}");
        // The pool's own comes first.
        let pool = builder
            .task_timeout(Duration::from_millis(70))
            .build()
            .unwrap();
        let error = end(&pool, hangs_for_a_while::new());
        assert!(error.to_string().contains("70ms"), "{error}");
    });
}
