//! The fork start method: what a copy has, what it must not do, and when there is none.

use nix::sys::signal::Signal;
use procession::{Builder, Child, ErrorKind, Process, StartMethod, Stdio, process};
use procession_tests::{
    DEADLINE, by, eventually, forever, read_to_end, send_signal, spawn, state, within,
};
use std::{
    io::{BufRead, BufReader, PipeWriter, Read, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Mutex,
};

fn fork<P: Process>(process: P) -> Child<P::Output> {
    let child = spawn(StartMethod::Fork, process);
    assert_eq!(child.start_method(), StartMethod::Fork);
    child
}

/// A process with one thread, which a test never is.
fn apart() -> Builder {
    by(StartMethod::Spawn)
}

static MEMORY: Mutex<Vec<u32>> = Mutex::new(Vec::new());

#[process]
fn remember() -> Vec<u32> {
    let mut memory = MEMORY.lock().unwrap();
    memory.push(4);
    memory.clone()
}

#[process]
fn copy_and_compare() -> (Vec<u32>, Vec<u32>) {
    MEMORY.lock().unwrap().extend([1, 2, 3]);
    let theirs = fork(remember::new()).join().unwrap();
    let ours = MEMORY.lock().unwrap().clone();
    (theirs, ours)
}

#[test]
fn copy_has_the_memory_of_the_moment_for_itself() {
    within(DEADLINE, || {
        let child = apart().spawn(copy_and_compare::new()).unwrap();
        assert_eq!(child.join().unwrap(), (vec![1, 2, 3, 4], vec![1, 2, 3]));
    });
}

#[test]
fn process_with_threads_is_not_copied() {
    within(DEADLINE, || {
        let builder = Builder::new().name("copy").start_method(StartMethod::Fork);
        let error = builder.spawn(remember::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MultipleThreads);
        let said = error.to_string();
        assert!(
            said.starts_with("cannot start process `copy`: this process has more than one thread"),
            "{said}"
        );
    });
}

#[process]
fn end_somehow(how: &str) -> Result<(), String> {
    match how {
        "return" => Ok(()),
        "error" => Err("no".into()),
        "panic" => panic!("in the copy"),
        "exit" => std::process::exit(3),
        other => panic!("there is no {other}"),
    }
}

/// Says one word before and one after each start, in every process that comes by.
#[process]
fn start_and_go_on(mut tell: PipeWriter) {
    for how in ["return", "error", "panic", "exit"] {
        // Without a newline: it stays in the buffer.
        print!("before {how}, ");
        let gone_by = catch_unwind(AssertUnwindSafe(|| -> Result<(), procession::Error> {
            let child = by(StartMethod::Fork).spawn(end_somehow::new(how))?;
            // A value or none: either is an end of the other process.
            let _ = child.join();
            Ok(())
        }));
        writeln!(tell, "{} after {how}", gone_by.is_ok()).unwrap();
    }
}

#[test]
fn copy_never_returns_to_its_caller_and_says_nothing_twice() {
    within(DEADLINE, || {
        let (told, tell) = std::io::pipe().unwrap();
        let (said, say) = std::io::pipe().unwrap();
        let builder = apart().stdout(say).stderr(Stdio::null());
        builder
            .spawn(start_and_go_on::new(tell))
            .unwrap()
            .join()
            .unwrap();
        assert_eq!(
            read_to_end(&told),
            "true after return\ntrue after error\ntrue after panic\ntrue after exit\n"
        );
        assert_eq!(
            read_to_end(&said),
            "before return, before error, before panic, before exit, "
        );
    });
}

#[process]
fn read_and_write() -> String {
    print!("out");
    eprint!("err");
    let mut read = String::new();
    std::io::stdin().read_to_string(&mut read).unwrap();
    read
}

/// Has streams that lead somewhere, and starts a copy whose streams do not.
#[process]
fn start_without_streams() -> String {
    let builder = by(StartMethod::Fork);
    let builder = builder.stdout(Stdio::null()).stderr(Stdio::null());
    builder
        .spawn(read_and_write::new())
        .unwrap()
        .join()
        .unwrap()
}

#[test]
fn copy_has_the_streams_it_was_given_and_not_its_parents() {
    within(DEADLINE, || {
        let (said, say) = std::io::pipe().unwrap();
        // Written before it starts: it reads nothing, and may be gone at any time after that.
        let (stdin, mut typed) = std::io::pipe().unwrap();
        typed.write_all(b"of the parent").unwrap();
        drop(typed);
        let builder = apart().stdin(stdin).stderr(say.try_clone().unwrap());
        let child = builder
            .stdout(say)
            .spawn(start_without_streams::new())
            .unwrap();
        assert_eq!(child.join().unwrap(), "");
        assert_eq!(read_to_end(&said), "");
    });
}

#[process]
fn park() {
    forever()
}

/// Starts a daemon and then another child, both copies, tells who they are and waits to be killed.
#[process]
fn owner(mut tell: PipeWriter) {
    let daemon = Builder::new().daemon(true).start_method(StartMethod::Fork);
    let daemon = daemon.spawn(park::new()).unwrap();
    let sibling = fork(park::new());
    writeln!(tell, "{} {}", daemon.id(), sibling.id()).unwrap();
    forever()
}

#[test]
fn lifeline_of_a_daemon_is_not_held_by_its_sibling() {
    within(DEADLINE, || {
        let (told, tell) = std::io::pipe().unwrap();
        let child = apart().spawn(owner::new(tell)).unwrap();
        let mut line = String::new();
        BufReader::new(told).read_line(&mut line).unwrap();
        let ids: Vec<u32> = line
            .split_whitespace()
            .map(|id| id.parse().unwrap())
            .collect();
        child.kill().unwrap();
        child.join().unwrap_err();
        eventually("the daemon is gone", || {
            matches!(state(ids[0]), None | Some('Z'))
        });
        assert!(
            !matches!(state(ids[1]), None | Some('Z')),
            "its sibling is no daemon"
        );
        send_signal(ids[1], Signal::SIGKILL);
    });
}
