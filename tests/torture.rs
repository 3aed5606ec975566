//! Many starts, and a parent that is killed in the middle of them: nothing may be left.

#![allow(missing_docs, reason = "a test")]

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use procession::{Builder, StartMethod, join_all, prewarm, process};
use procession_tests::{
    METHODS, alone, child_ids, descriptors, eventually, threads, with_method, within,
};
use std::{
    fs,
    hash::{BuildHasher, RandomState},
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

#[process]
fn double(n: u32) -> u32 {
    2 * n
}

fn start(n: u32) -> procession::Child<u32> {
    let builder = Builder::new().start_method(StartMethod::ForkServer);
    builder.spawn(double::new(n)).unwrap()
}

#[test]
fn ten_thousand_starts_in_a_row_leave_nothing() {
    let _alone = alone();
    within(Duration::from_secs(300), || {
        let before = (descriptors(), child_ids(), threads());
        for n in 0..10_000 {
            assert_eq!(start(n).join().unwrap(), 2 * n);
        }
        assert_eq!((descriptors(), child_ids(), threads()), before);
    });
}

#[test]
fn thousand_at_once_leave_nothing() {
    let _alone = alone();
    within(Duration::from_secs(300), || {
        prewarm(0).unwrap();
        let before = (descriptors(), child_ids(), threads());
        // Each takes two descriptors here: what tells of its end, and its socket. A soft limit may be raised to the hard one.
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
        let children: Vec<_> = (0..1000).map(start).collect();
        for (n, value) in (0..).zip(join_all(children)) {
            assert_eq!(value.unwrap(), 2 * n);
        }
        assert_eq!((descriptors(), child_ids(), threads()), before);
    });
}

/// The processes that have this in the environment they were started with.
fn marked(mark: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let path = entry.ok()?.path();
        let environment = fs::read(path.join("environ")).ok()?;
        let is_marked = environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == mark.as_bytes());
        is_marked.then(|| path.display().to_string())
    });
    processes.collect()
}

#[test]
fn parent_killed_in_mid_start_leaves_no_daemon_spare_or_helper() {
    let _alone = alone();
    for method in METHODS {
        within(Duration::from_secs(300), || {
            for round in 0..67 {
                let mark = format!("PROCESSION_MARK={}-{method}-{round}", std::process::id());
                let (name, value) = mark.split_once('=').unwrap();
                let mut command = Command::new(env!("CARGO_BIN_EXE_ends"));
                let mut doomed = with_method(&mut command, method)
                    .arg("doomed")
                    .env(name, value)
                    .stdin(Stdio::null())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::null())
                    .spawn()
                    .unwrap();
                let mut said = BufReader::new(doomed.stdout.take().unwrap());
                said.read_line(&mut String::new()).unwrap();
                // Any moment will do, and each another.
                let moment = RandomState::new().hash_one(round) % 5000;
                thread::sleep(Duration::from_micros(moment));
                doomed.kill().unwrap();
                doomed.wait().unwrap();
                let killed = Instant::now();
                // The daemons hold the pipe, the helper and the spares do not.
                said.read_to_end(&mut Vec::new()).unwrap();
                eventually("none is left", || marked(&mark).is_empty());
                let took = killed.elapsed();
                assert!(took < Duration::from_secs(1), "gone after {took:?}");
            }
        });
    }
}
