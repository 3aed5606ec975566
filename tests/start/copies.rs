//! Copies of processes that a bare `fork` has made: they speak for nobody else, and take nothing
//! away.

#![allow(unsafe_code, reason = "a copy is made by the bare call")]

use nix::{
    libc,
    sys::wait::{WaitStatus, waitpid},
    unistd::{ForkResult, fork},
};
use procession::{JoinErrorKind, Stdio, process};
use procession_tests::{alone_under_each_method, by, spawn, under_each_method};
use std::os::fd::AsFd;

/// Runs something in a copy of this process, and returns the exit status of that.
fn in_a_copy(act: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the copy ends without returning, and does what a process with one thread may do.
    match unsafe { fork() }.unwrap() {
        // SAFETY: the call takes an integer and does not return.
        ForkResult::Child => unsafe { libc::_exit(act()) },
        ForkResult::Parent { child } => match waitpid(child, None).unwrap() {
            WaitStatus::Exited(_, status) => status,
            other => panic!("{other:?}"),
        },
    }
}

/// Splits in two, of which the copy comes to its end first.
fn split() -> bool {
    // SAFETY: this process has one thread.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => true,
        ForkResult::Parent { child } => {
            waitpid(child, None).unwrap();
            false
        }
    }
}

#[process]
fn value(length: usize) -> Vec<u8> {
    vec![u8::from(split()); length]
}

#[process]
fn outcome(how: &str) {
    if !split() {
        std::process::exit(3);
    }
    match how {
        "panic" => panic!("in the copy"),
        "memory" => drop(std::hint::black_box(vec![1_u8; 1 << 46])),
        _ => std::process::abort(),
    }
}

#[test]
fn copy_of_a_child_does_not_speak_for_it() {
    under_each_method(|method| {
        let start = || by(method).stderr(Stdio::null());
        for length in [1, 100_000, 10_000_000] {
            let child = start().spawn(value::new(length)).unwrap();
            assert!(child.join().unwrap() == vec![0; length], "{length} bytes");
        }
        for how in ["panic", "memory", "abort"] {
            let error = start()
                .spawn(outcome::new(how))
                .unwrap()
                .join()
                .unwrap_err();
            assert_eq!(error.kind(), JoinErrorKind::Exited, "{how}: {error}");
            assert_eq!(error.status().unwrap().code(), Some(3));
        }
    });
}

#[process]
fn sevens(length: usize) -> Vec<u8> {
    vec![7; length]
}

#[test]
fn copy_of_a_parent_takes_no_value_away() {
    alone_under_each_method(|method| {
        for length in [1, 10_000_000] {
            let mut child = spawn(method, sevens::new(length));
            // It has ended, so that a copy that joins would find everything.
            let pidfd = child.as_fd().try_clone_to_owned().unwrap();
            procession::channel::wait(&[&pidfd], None).unwrap();
            let status = in_a_copy(|| match child.try_join() {
                Err(error) if error.kind() == JoinErrorKind::Os => 0,
                _ => 1,
            });
            assert_eq!(status, 0);
            assert!(child.join().unwrap() == vec![7; length]);
        }
    });
}
