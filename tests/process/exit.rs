//! What a program does and says at its end while children still run.

use procession::StartMethod;
use procession_tests::{with_each_method, with_method};
use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdout, Command, Stdio},
};

/// Starts the helper that ends in this way, and waits until its `main` is over.
fn ends(how: &str, method: StartMethod, stderr: Stdio) -> (Child, BufReader<ChildStdout>) {
    let mut child = with_method(&mut Command::new(env!("CARGO_BIN_EXE_ends")), method)
        .arg(how)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "main done\n");
    (child, said)
}

fn rest(mut said: impl Read) -> String {
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    rest
}

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
