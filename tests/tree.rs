//! Ending a process with all of its descendants.

#![allow(missing_docs, reason = "a test")]

use procession::{Builder, StartMethod, process};
use procession_tests::{alone, child_ids, descriptors, read_to_end, under_each_method};
use std::{
    io::{self, PipeWriter, Read, Write},
    process::{Command, Stdio},
    thread,
};

/// Starts children of every sort that start more of them, until it is killed; each holds the pipe.
#[process]
#[allow(clippy::zombie_processes, reason = "somebody else sees to them")]
fn breed(held: &PipeWriter, depth: u32, method: StartMethod) {
    let copy = || held.try_clone().unwrap();
    // A program, and one whose parent ends at once.
    let sleeper = || {
        let mut command = Command::new("sleep");
        command.arg("1000").stdin(Stdio::null()).stdout(copy());
        command
    };
    sleeper().spawn().unwrap();
    Command::new("sh")
        .args(["-c", "sleep 1000 & exit"])
        .stdin(Stdio::null())
        .stdout(copy())
        .status()
        .unwrap();
    if depth > 0 {
        let builder = Builder::new().start_method(method);
        let child = builder.spawn(breed::new(held, depth - 1, method)).unwrap();
        child.detach();
    }
    (&*held).write_all(&[0]).unwrap();
    // It goes on with it while it is being ended.
    loop {
        let _ = sleeper().args(["0.001"]).status();
        thread::yield_now();
    }
}

#[test]
fn nobody_is_left_of_a_tree() {
    let _alone = alone();
    let before = (descriptors(), child_ids());
    under_each_method(|method| {
        for depth in [0, 3] {
            let (mut reader, writer) = io::pipe().unwrap();
            let builder = Builder::new().start_method(method).subreaper(true);
            let child = builder.spawn(breed::new(&writer, depth, method)).unwrap();
            drop(writer);
            // All of them are at it.
            reader.read_exact(&mut vec![0; depth as usize + 1]).unwrap();
            let status = child.handle().kill_tree().unwrap();
            assert!(!status.success());
            child.join().unwrap_err();
            // Nobody holds the pipe any more, or this would not end.
            assert_eq!(read_to_end(&reader), "");
            assert_eq!(reader.read(&mut [0]).unwrap(), 0);
        }
    });
    assert_eq!((descriptors(), child_ids()), before);
}
