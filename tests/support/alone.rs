//! Tests that need a process of their own.

use crate::within;
use std::{
    env,
    io::{self, Read},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

/// How long what a test has started may hold its output after the test has ended.
const GRACE: Duration = Duration::from_secs(20);

/// Runs a test in a process of its own.
///
/// All tests of a program are threads of one process. A test needs a process of its own if it
///
/// - counts what belongs to its process: descriptors, children, threads, mappings;
/// - changes what belongs to its process: limits, the handling of signals, the helper;
/// - expects at once that nobody holds the other end of a pipe or socket, or runs a program that
///   it has written: a process that another test starts has copies of all descriptors until it
///   runs its own program.
///
/// The process is this program again, told to run this test and no other; so no test needs to know
/// which others there are. Where this process was told so already, the test runs here.
///
/// # Panics
///
/// When the test panics, and when it leaves something running that holds its output.
pub fn alone(test: impl FnOnce()) {
    if is_alone() {
        return test();
    }
    let thread = thread::current();
    run(thread.name().expect("a test runs in a thread of its name"));
}

/// Runs a test in a process of its own, with a deadline.
///
/// # Panics
///
/// As [`alone`] does.
pub fn alone_within(deadline: Duration, test: impl FnOnce()) {
    alone(|| within(deadline, test));
}

/// Whether this process may be counted and changed by a test: it runs that test only, or it is no
/// test but was started by one.
#[must_use]
pub fn is_alone() -> bool {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let (options, names): (Vec<_>, Vec<_>) = arguments
        .iter()
        .partition(|argument| argument.starts_with('-'));
    let is_told = options.iter().any(|option| *option == "--exact") && names.len() == 1;
    is_told || procession::parent().is_some()
}

/// Refuses to count or to change what belongs to other tests, too.
#[track_caller]
pub(crate) fn assert_alone() {
    assert!(is_alone(), "this test needs a process of its own: `alone`");
}

fn run(name: &str) {
    let (mut output, writer) = io::pipe().expect("there are descriptors left");
    let mut command = Command::new(env::current_exe().expect("it is there"));
    let errors = writer.try_clone().expect("there are descriptors left");
    command.args([name, "--exact", "--nocapture"]);
    command.stdin(Stdio::null()).stdout(writer).stderr(errors);
    let mut process = command.spawn().expect("it starts");
    // It holds the pipe, too.
    drop(command);
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let mut said = Vec::new();
        let read = output.read_to_end(&mut said);
        // Nobody waits for it any more after the grace.
        let _ = tell.send(read.map(|_| said));
    });
    let status = process.wait().expect("it is a child");
    let Ok(said) = told.recv_timeout(GRACE) else {
        panic!("{name} ended ({status}) and left something running that holds its output");
    };
    let said = String::from_utf8_lossy(&said.expect("a pipe can be read")).into_owned();
    print!("{said}");
    assert!(status.success(), "{name} in a process of its own: {status}");
    assert!(said.contains("1 passed"), "{name} was not found");
}
