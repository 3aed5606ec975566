//! Many starts, and a parent that is killed in the middle of them: nothing may be left.

use crate::{in_turn, moment, rounds};
use nix::{
    sys::{
        resource::{Resource, getrlimit, setrlimit},
        signal::{Signal, kill},
    },
    unistd::Pid,
};
use procession::{StartMethod, join_all, prewarm, process};
use procession_tests::{Directory, METHODS, by, eventually, with_method};
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Command, Stdio},
    thread,
};

#[process]
fn double(n: u32) -> u32 {
    2 * n
}

fn start(n: u32) -> procession::Child<u32> {
    let builder = by(StartMethod::ForkServer);
    builder.spawn(double::new(n)).unwrap()
}

#[test]
fn ten_thousand_starts_in_a_row_leave_nothing() {
    in_turn(|| {
        for n in 0..10_000 {
            assert_eq!(start(n).join().unwrap(), 2 * n);
        }
    });
}

#[test]
fn thousand_at_once_leave_nothing() {
    in_turn(|| {
        prewarm(0).unwrap();
        // Each takes two descriptors here: what tells of its end, and its socket. A soft limit may
        // be raised to the hard one.
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
        let children: Vec<_> = (0..1000).map(start).collect();
        for (n, value) in (0..).zip(join_all(children)) {
            assert_eq!(value.unwrap(), 2 * n);
        }
    });
}

/// The processes that run a program, by their ids. The helper and the spares have no environment to
/// be known by.
fn running(program: &Path) -> Vec<i32> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let path = entry.ok()?.path();
        let is_running = fs::read_link(path.join("exe")).ok()? == program;
        let id = path.file_name()?.to_str()?.parse().ok()?;
        is_running.then_some(id)
    });
    processes.collect()
}

/// Has a program start processes, kills it at a random moment, and waits until nothing is left of
/// it.
fn doom(program: &Path, method: StartMethod, meddle: impl FnOnce()) {
    let mut doomed = with_method(&mut Command::new(program), method)
        .arg("doomed")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(doomed.stdout.take().unwrap());
    said.read_line(&mut String::new()).unwrap();
    assert!(!running(program).is_empty());
    meddle();
    pause();
    doomed.kill().unwrap();
    doomed.wait().unwrap();
    // One that is stopped can end no more than it can do anything else, unless the kernel ends it,
    // as it does a daemon.
    send_to_all(program, Signal::SIGCONT);
    // The daemons hold the pipe, the helper and the spares do not.
    said.read_to_end(&mut Vec::new()).unwrap();
    eventually("none is left", || running(program).is_empty());
}

/// Lets a random time pass: any moment will do, and each another.
fn pause() {
    thread::sleep(moment(5000));
}

#[test]
fn parent_killed_in_mid_start_leaves_no_daemon_spare_or_helper() {
    in_turn(|| {
        under_each(67, |program, method| doom(program, method, || {}));
    });
}

/// Stops the program and whatever it has started, and lets it go on, at random moments.
#[test]
fn parent_killed_leaves_nothing_that_was_stopped() {
    in_turn(|| {
        under_each(20, |program, method| {
            doom(program, method, || {
                for _ in 0..3 {
                    pause();
                    send_to_all(program, Signal::SIGSTOP);
                    pause();
                    send_to_all(program, Signal::SIGCONT);
                }
                send_to_all(program, Signal::SIGSTOP);
            });
        });
    });
}

/// Sends a signal to each process that runs a program, if it is still there.
fn send_to_all(program: &Path, signal: Signal) {
    for id in running(program) {
        // Ids are not given out again so soon.
        let _ = kill(Pid::from_raw(id), signal);
    }
}

/// Does something that often under each start method, or for as long as is asked for, with a
/// program that nobody else runs.
fn under_each(least: u32, act: impl Fn(&Path, StartMethod)) {
    let directory = Directory::new();
    let program = directory.0.join("ends");
    fs::copy(env!("CARGO_BIN_EXE_ends"), &program).unwrap();
    for method in METHODS {
        for _ in rounds(least) {
            act(&program, method);
        }
    }
}
