//! What a program does and says at its end while children still run.

use crate::ends::{ends, rest};
use procession_tests::with_each_method;
use std::{
    io::{BufRead, BufReader, Write},
    process::Stdio,
};

#[test]
fn any_number_of_children_is_waited_for() {
    with_each_method(|method| {
        let (mut child, said) = ends("crowd", method, Stdio::inherit());
        // They end with this, and say whether their parent was still there.
        drop(child.stdin.take());
        assert_eq!(rest(said), "with parent\n".repeat(20));
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn long_wait_is_explained_once() {
    with_each_method(|method| {
        let (mut child, said) = ends("dropped", method, Stdio::piped());
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        let begin = "procession: waiting at exit for 1 process: `wait_for_line-1` (pid ";
        assert!(line.starts_with(begin), "{line}");
        stderr.read_line(&mut line).unwrap();
        assert!(line.contains("set_exit_grace"), "{line}");
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        assert_eq!(rest(said), "child got go\n");
        assert!(child.wait().unwrap().success());
        assert_eq!(rest(stderr), "");
    });
}

#[test]
fn daemon_that_is_stopped_is_ended() {
    with_each_method(|method| {
        let (mut child, said) = ends("stopped", method, Stdio::inherit());
        assert_eq!(rest(said), "");
        assert!(child.wait().unwrap().success());
    });
}
