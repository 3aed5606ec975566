//! How a pool begins and ends.

use crate::{METHODS, ends::square, with_builders, with_pools};
use procession::{
    Builder, ErrorKind, JoinErrorKind, Pool, StartMethod, Stdio, pool::JobState, process,
};
use procession_tests::{DEADLINE, alone, by, child_ids, eventually, forever, state, within};
use std::{
    thread,
    time::{Duration, Instant},
};

#[process]
fn hangs() {
    forever()
}

#[process]
fn sleeps(milliseconds: u64) -> u64 {
    thread::sleep(Duration::from_millis(milliseconds));
    milliseconds
}

#[test]
fn closed_pool_does_what_it_has_and_takes_no_more() {
    with_pools(|pool| {
        let jobs: Vec<_> = (0..100)
            .map(|n| pool.submit(square::new(n)).unwrap())
            .collect();
        pool.close();
        let error = pool.submit(square::new(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Disconnected);
        let error = pool.map([square::new(1)]).next().unwrap().unwrap_err();
        assert_eq!(error.kind(), JoinErrorKind::PoolClosed);
        for (n, job) in (0..).zip(jobs) {
            assert_eq!(job.join().unwrap(), n * n);
        }
        assert!(pool.shutdown(Duration::from_secs(20)));
        assert!(pool.shutdown(Duration::ZERO));
        pool.terminate();
    });
}

#[test]
fn shutdown_waits_as_long_as_it_is_told() {
    with_pools(|pool| {
        let short = pool.submit(sleeps::new(50)).unwrap();
        let endless = pool.submit(hangs::new()).unwrap();
        assert!(!pool.shutdown(Duration::from_millis(500)));
        assert!(!pool.shutdown(Duration::from_secs(1)));
        assert_eq!(short.join().unwrap(), 50);
        assert_eq!(endless.join().unwrap_err().kind(), JoinErrorKind::Killed);
    });
}

#[test]
fn pool_can_be_ended_from_another_thread_while_it_is_used() {
    for method in METHODS {
        within(DEADLINE, || {
            for round in 0..10 {
                let pool = Pool::builder()
                    .workers(2)
                    .start_method(method)
                    .backlog(8)
                    .build()
                    .unwrap();
                thread::scope(|scope| {
                    for _ in 0..2 {
                        scope.spawn(|| {
                            while let Ok(job) = pool.submit(square::new(3)) {
                                match job.join() {
                                    Ok(value) => assert_eq!(value, 9),
                                    Err(error) => assert!(
                                        matches!(
                                            error.kind(),
                                            JoinErrorKind::PoolClosed | JoinErrorKind::Killed
                                        ),
                                        "{error}"
                                    ),
                                }
                            }
                        });
                    }
                    thread::sleep(Duration::from_millis(round * 3));
                    scope.spawn(|| pool.terminate());
                    scope.spawn(|| pool.shutdown(Duration::from_millis(1)));
                });
            }
        });
    }
}

#[test]
fn dropped_pool_leaves_no_worker() {
    alone(|| {
        with_builders(|builder| {
            let pool = builder.build().unwrap();
            let jobs: Vec<_> = (0..2).map(|_| pool.submit(hangs::new()).unwrap()).collect();
            eventually("both run", || {
                jobs.iter().all(|job| job.state() == JobState::Running)
            });
            let began = Instant::now();
            drop(pool);
            assert!(began.elapsed() < Duration::from_secs(5));
            assert_eq!(child_ids(), []);
        });
    });
}

#[test]
fn workers_and_what_they_start_die_with_their_pool() {
    for method in METHODS {
        within(DEADLINE, || {
            let mut child = by(method).spawn(has_a_pool_and_hangs::new()).unwrap();
            eventually("its workers run", || !descendants(child.id()).is_empty());
            let ids = descendants(child.id());
            child.kill().unwrap();
            child.wait().unwrap();
            for id in ids {
                eventually("it is gone", || matches!(state(id), None | Some('Z')));
            }
        });
    }
}

#[process]
fn has_a_pool_and_hangs() {
    let pool = Pool::builder().workers(2).build().unwrap();
    let _jobs = [(); 2].map(|()| pool.submit(starts_and_hangs::new()).unwrap());
    forever()
}

#[process]
fn starts_and_hangs() {
    let _child = hangs::spawn().unwrap();
    forever()
}

/// The ids of the grandchildren of a process, if it has two children that have one each.
fn descendants(id: u32) -> Vec<u32> {
    let children = |id: u32| -> Vec<u32> {
        let tasks = std::fs::read_dir(format!("/proc/{id}/task"));
        let tasks = tasks.into_iter().flatten().flatten();
        let lists = tasks.map(|task| std::fs::read_to_string(task.path().join("children")));
        lists
            .flatten()
            .flat_map(|list| {
                let ids = list.split_whitespace().map(|id| id.parse().unwrap());
                ids.collect::<Vec<u32>>()
            })
            .collect()
    };
    let workers: Vec<_> = children(id);
    let grand: Vec<_> = workers.iter().flat_map(|id| children(*id)).collect();
    if grand.len() < 2 {
        return Vec::new();
    }
    workers.into_iter().chain(grand).collect()
}

#[process(daemon)]
fn is_a_daemon() -> bool {
    Pool::new().is_err_and(|error| error.kind() == ErrorKind::DaemonicChildren)
}

#[test]
fn what_cannot_be_is_refused() {
    within(DEADLINE, || {
        let forks = Pool::builder().start_method(StartMethod::Fork);
        assert_eq!(
            forks.build().unwrap_err().kind(),
            ErrorKind::MultipleThreads
        );
        assert!(is_a_daemon::spawn().unwrap().join().unwrap());
        let piped = Builder::new().stdout(Stdio::piped());
        let piped = Pool::builder().worker(piped).build();
        assert_eq!(piped.unwrap_err().kind(), ErrorKind::Setting);
        let limited = Builder::new().timeout(DEADLINE);
        let limited = Pool::builder().worker(limited).build();
        assert_eq!(limited.unwrap_err().kind(), ErrorKind::Setting);
        let lost = Pool::builder()
            .workers(2)
            .worker(Builder::new().current_dir("/nowhere"));
        let pool = lost.build().unwrap();
        let error = pool.submit(square::new(1)).unwrap().join().unwrap_err();
        assert_eq!(error.kind(), JoinErrorKind::NoWorker);
        let reason = std::error::Error::source(&error).unwrap().to_string();
        assert!(reason.contains("/nowhere"), "{reason}");
    });
}

#[test]
#[allow(unsafe_code, reason = "a copy of this process, without this crate")]
fn copy_of_the_process_cannot_use_the_pool_and_does_not_end_it() {
    alone(|| {
        with_pools(|pool| {
            let job = pool.submit(square::new(5)).unwrap();
            // SAFETY: the copy calls what it may not rely on, but no other thread holds a lock now.
            match unsafe { nix::unistd::fork() }.unwrap() {
                nix::unistd::ForkResult::Child => {
                    let refused = pool.submit(square::new(1)).is_err()
                        && pool.map([square::new(1)]).next().unwrap().is_err()
                        && pool.stats().workers.is_empty()
                        && job.join().is_err();
                    drop(pool);
                    // SAFETY: the call ends this copy.
                    unsafe { nix::libc::_exit(i32::from(!refused)) }
                }
                nix::unistd::ForkResult::Parent { child } => {
                    let ended = nix::sys::wait::waitpid(child, None).unwrap();
                    assert!(matches!(ended, nix::sys::wait::WaitStatus::Exited(_, 0)));
                }
            }
            assert_eq!(job.join().unwrap(), 25);
            assert_eq!(pool.submit(square::new(6)).unwrap().join().unwrap(), 36);
        });
    });
}
