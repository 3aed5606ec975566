//! What happens rarely: somebody waits for room that no result makes, a lane is full of what was
//! taken back, a worker dies at the wrong moment.

use crate::{ends::square, with_builders};
use nix::{
    libc,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use procession::{Fd, JoinErrorKind, Pool, Ran, pool::JobState, process};
use procession_tests::{alone, eventually, forever, holdings, refuse_some, send_signal, threads};
use seccompiler::{SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};
use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, PipeReader, Read, Write},
    os::fd::AsFd,
    path::PathBuf,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

/// How long somebody may take who waits for nothing.
const SOON: Duration = Duration::from_secs(20);

#[process]
fn hangs() {
    forever()
}

/// Ends when the other end of the pipe is closed.
#[process]
fn waits(mut until: PipeReader) {
    until.read_to_end(&mut Vec::new()).unwrap();
}

#[process]
fn length(bytes: &[u8]) -> usize {
    bytes.len()
}

#[process]
fn gives_back(file: Fd<File>) -> Fd<File> {
    file
}

fn null() -> Fd<File> {
    Fd(File::open("/dev/null").unwrap())
}

fn is_running<T>(job: &procession::Job<T>) {
    eventually("it runs", || job.state() == JobState::Running);
}

#[test]
fn room_that_no_result_makes_is_seen_by_who_waits_for_it() {
    with_builders(|builder| {
        let pool = builder.workers(1).backlog(1).build().unwrap();
        let first = pool.submit(hangs::new()).unwrap();
        is_running(&first);
        let second = pool.submit(hangs::new()).unwrap();
        let (submitted, told) = mpsc::channel();
        thread::scope(|scope| {
            // One thread takes the results, and another one waits for room.
            let leads = scope.spawn(|| first.join().unwrap_err());
            scope.spawn(|| {
                let third = pool.submit(square::new(3)).unwrap();
                submitted.send(()).unwrap();
                drop(third);
            });
            // The second job leaves the queue for this worker. No job ends.
            pool.resize(2);
            is_running(&second);
            let in_time = told.recv_timeout(SOON);
            pool.terminate();
            leads.join().unwrap();
            in_time.expect("there is room, and who waits for it sleeps");
        });
    });
}

#[test]
fn lane_that_is_full_of_what_was_taken_back_gets_room_again() {
    with_builders(|builder| {
        let pool = builder.workers(1).build().unwrap();
        for round in 0..20 {
            // Short jobs, so that many are handed to the worker at once.
            for n in pool.map((0..200).map(square::new)) {
                n.unwrap();
            }
            let (reader, writer) = io::pipe().unwrap();
            let first = pool.submit(waits::new(reader)).unwrap();
            let full: Vec<_> = (0..8)
                .map(|_| pool.submit(length::new(&[0; 10_000])).unwrap())
                .collect();
            is_running(&first);
            assert!(full.iter().all(procession::Job::cancel));
            let mut last = pool.submit(length::new(&[0; 16_000])).unwrap();
            drop(writer);
            first.join().unwrap();
            let value = last.join_timeout(SOON).unwrap();
            assert_eq!(value, Some(16_000), "in round {round}");
        }
    });
}

#[test]
fn job_with_descriptors_does_not_notice_that_an_idle_worker_was_killed() {
    with_builders(|builder| {
        let pool = builder.build().unwrap();
        for round in 0..100 {
            pool.submit(gives_back::new(null()))
                .unwrap()
                .join()
                .unwrap();
            for worker in pool.stats().workers {
                send_signal(worker.id, Signal::SIGKILL);
            }
            let job = pool.submit(gives_back::new(null())).unwrap();
            let back = job.join();
            assert!(back.is_ok(), "in round {round}: {}", back.unwrap_err());
        }
    });
}

#[test]
fn idle_workers_that_are_killed_over_and_over_cost_no_job_anything() {
    with_builders(|builder| {
        let pool = builder.build().unwrap();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                // New workers are killed before they have begun a job. After five such ends in a
                // row the pool would give up: its workers may not be able to begin.
                let mut killed = BTreeSet::new();
                while !is_over.load(Ordering::Relaxed) && killed.len() < 4 {
                    let workers = pool.stats().workers;
                    let unused = workers.iter().find(|worker| worker.tasks == 0);
                    if let Some(worker) = unused
                        && killed.insert(worker.id)
                    {
                        // It may be gone.
                        let _ = kill(Pid::from_raw(worker.id.cast_signed()), Signal::SIGKILL);
                    }
                    thread::yield_now();
                }
            });
            let jobs = (0..20).map(|n| pool.submit(square::new(n)).unwrap().join());
            let ends: Vec<_> = jobs.collect();
            is_over.store(true, Ordering::Relaxed);
            for (n, end) in (0..).zip(ends) {
                match end {
                    Ok(value) => assert_eq!(value, n * n),
                    // It was killed after all that it had begun the job.
                    Err(error) => assert_eq!(
                        (error.kind(), error.ran()),
                        (JoinErrorKind::Signalled, Ran::Maybe),
                        "{error}"
                    ),
                }
            }
        });
    });
}

/// Has packets refused, from now on, that go through one of the sockets of its worker. Returns
/// whether there are so many.
#[process]
fn forbids_packets(socket: usize) -> bool {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let open = open.map(|entry| entry.unwrap().path());
    let is_socket = |path: &PathBuf| {
        std::fs::read_link(path).is_ok_and(|link| link.to_string_lossy().starts_with("socket:"))
    };
    let Some(path) = open.filter(is_socket).nth(socket) else {
        return false;
    };
    let fd = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
    let is_this = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, fd);
    let rule = SeccompRule::new(vec![is_this.unwrap()]).unwrap();
    refuse_some(libc::SYS_sendmsg, vec![rule], libc::ENOBUFS);
    true
}

#[process]
fn opens() -> io::Result<Fd<File>> {
    File::open("/dev/null").map(Fd)
}

#[test]
fn result_that_cannot_be_sent_is_the_reason_of_its_job() {
    with_builders(|builder| {
        for socket in 0.. {
            let pool = builder.clone().workers(1).build().unwrap();
            let job = pool.submit(forbids_packets::new(socket)).unwrap();
            if !job.join().unwrap() {
                assert!(socket > 0);
                break;
            }
            let job = pool.submit(opens::new()).unwrap();
            // The other sockets of a worker are for other things.
            if let Err(error) = job.join() {
                assert_ne!(error.kind(), JoinErrorKind::PoolClosed, "{error}");
                assert_ne!(error.ran(), Ran::No, "it ran: {error}");
            }
            let value = pool.submit(opens::new()).unwrap().join();
            if let Err(error) = value {
                assert_ne!(error.kind(), JoinErrorKind::PoolClosed, "{error}");
            }
        }
    });
}

#[test]
fn descriptors_of_a_job_that_was_cancelled_are_closed() {
    with_builders(|builder| {
        let pool: Pool = builder.workers(1).build().unwrap();
        for n in pool.map((0..200).map(square::new)) {
            n.unwrap();
        }
        let (reader, writer) = io::pipe().unwrap();
        let first = pool.submit(waits::new(reader)).unwrap();
        let (mut theirs, mut ours) = io::pipe().unwrap();
        let copy = Fd(File::from(ours.as_fd().try_clone_to_owned().unwrap()));
        let second = pool.submit(gives_back::new(copy)).unwrap();
        is_running(&first);
        assert!(second.cancel());
        ours.write_all(b"x").unwrap();
        drop(ours);
        drop(writer);
        first.join().unwrap();
        // Nobody else holds the pipe: this comes to its end.
        let mut text = String::new();
        theirs.read_to_string(&mut text).unwrap();
        assert_eq!(text, "x");
    });
}

#[process]
fn fails_first(files: &[Fd<File>], mut marker: PipeReader) -> usize {
    // Only one attempt gets the byte.
    let mut byte = [0];
    if marker.read(&mut byte).unwrap() == 1 {
        std::process::abort();
    }
    files.len()
}

#[test]
fn job_with_many_descriptors_can_be_tried_again() {
    with_builders(|builder| {
        let pool = builder.retries(1).build().unwrap();
        for count in [1, 300] {
            let (reader, mut writer) = io::pipe().unwrap();
            writer.write_all(b"x").unwrap();
            drop(writer);
            let files: Vec<_> = (0..count).map(|_| null()).collect();
            let job = pool.submit(fails_first::new(&files, reader)).unwrap();
            assert_eq!(job.join().unwrap(), count);
        }
    });
}

#[process]
fn fails() -> io::Result<()> {
    Err(io::Error::other("it cannot begin"))
}

#[test]
fn pool_without_workers_ends() {
    alone(|| {
        with_builders(|builder| {
            let before = (holdings(), threads());
            for round in 0..10 {
                let idle = builder.clone().min_workers(0);
                let pool = idle.build().unwrap();
                if round % 2 == 0 {
                    assert!(pool.shutdown(SOON));
                }
                drop(pool);
            }
            for round in 0..4 {
                let failing = builder.clone().initializer(fails::new());
                let pool = failing.build().unwrap();
                let error = pool.submit(square::new(1)).unwrap().join().unwrap_err();
                assert_eq!(error.kind(), JoinErrorKind::NoWorker);
                if round % 2 == 0 {
                    assert!(pool.shutdown(SOON));
                }
                drop(pool);
            }
            assert_eq!((holdings(), threads()), before);
        });
    });
}
