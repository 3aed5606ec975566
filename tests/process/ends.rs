//! What becomes of children when their parent ends.

use procession::{
    Builder, ErrorKind, StartMethod,
    channel::{RecvError, Sender, queue},
    process,
};
use procession_tests::{by, spawn, under_each_method, with_each_method, with_method};
use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::ExitStatusExt,
    process::{Child, ChildStdout, Command, Stdio},
};

/// The helper that ends in this way, and what it says from the moment its children are under way.
pub(crate) fn ends(
    how: &str,
    method: StartMethod,
    stderr: Stdio,
) -> (Child, BufReader<ChildStdout>) {
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

/// The rest of what is said. It ends when the last that could say something is gone.
pub(crate) fn rest(mut said: impl Read) -> String {
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    rest
}

#[test]
fn normal_end_joins_children_and_ends_daemons() {
    for (how, status) in [("return", 0), ("exit", 5), ("panic", 101), ("dropped", 0)] {
        with_each_method(|method| {
            let (mut child, said) = ends(how, method, Stdio::null());
            // It waits for its child, who waits for us.
            assert!(child.try_wait().unwrap().is_none(), "{how}");
            child.stdin.take().unwrap().write_all(b"go\n").unwrap();
            assert_eq!(rest(said), "child got go\n", "{how}");
            assert_eq!(child.wait().unwrap().code(), Some(status), "{how}");
        });
    }
}

#[test]
fn detached_child_is_not_waited_for() {
    with_each_method(|method| {
        let (mut child, said) = ends("detached", method, Stdio::null());
        let mut stdin = child.stdin.take().unwrap();
        assert!(child.wait().unwrap().success());
        stdin.write_all(b"still here\n").unwrap();
        assert_eq!(rest(said), "child got still here\n");
    });
}

#[test]
fn exit_grace_bounds_the_wait() {
    with_each_method(|method| {
        let (mut child, said) = ends("graced", method, Stdio::null());
        assert_eq!(rest(said), "");
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn every_process_waits_for_its_children_after_handing_over_its_value() {
    with_each_method(|method| {
        let (mut child, mut said) = ends("nested", method, Stdio::null());
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        let mut lines = String::new();
        said.read_to_string(&mut lines).unwrap();
        assert_eq!(lines, "child got go\nchild returned 7\n");
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn daemons_die_with_their_parent_however_it_dies() {
    for (how, signal) in [("abort", Some(6)), ("exec", None), ("kill", Some(9))] {
        with_each_method(|method| {
            let (mut child, said) = ends(how, method, Stdio::null());
            if how == "kill" {
                child.kill().unwrap();
            }
            assert_eq!(rest(said), "", "{how}");
            assert_eq!(child.wait().unwrap().signal(), signal, "{how}");
        });
    }
}

/// Tells its id, and stays.
#[process]
fn leaf(told: &Sender<u32>) {
    told.send(std::process::id()).unwrap();
    procession_tests::forever()
}

/// Has a child that stays, and a grandchild through another one.
#[process(daemon, may_have_children = true)]
fn parental(told: &Sender<u32>, method: StartMethod, depth: u32) {
    let _leaf = spawn(method, leaf::new(told));
    let _between = (depth > 0).then(|| {
        // Not a daemon, but the child of one.
        let between = by(method).daemon(false);
        between
            .spawn(parental::new(told, method, depth - 1))
            .unwrap()
    });
    told.send(std::process::id()).unwrap();
    procession_tests::forever()
}

#[test]
fn children_of_a_daemon_die_with_it() {
    under_each_method(|method| {
        let (told, ids) = queue::<u32>(8).unwrap();
        let daemon = spawn(method, parental::new(&told, method, 1));
        drop(told);
        // The first and its child, the second and its child.
        for _ in 0..4 {
            ids.recv().unwrap();
        }
        daemon.kill().unwrap();
        daemon.join().unwrap_err();
        // The queue ends with the last of them, which stay for ever by themselves.
        assert!(matches!(ids.recv(), Err(RecvError::Disconnected)));
    });
}

#[test]
fn process_that_may_not_have_children_says_so() {
    #[process]
    fn childless() -> String {
        nothing::spawn().unwrap_err().to_string()
    }
    #[process]
    fn nothing() {}
    under_each_method(|method| {
        let builder = by(method).may_have_children(false);
        let error = builder.spawn(childless::new()).unwrap().join().unwrap();
        assert!(
            error.ends_with("this process is not allowed to have children"),
            "{error}"
        );
    });
}

#[test]
fn daemon_may_not_have_children() {
    #[process]
    fn nothing() {}
    #[process(daemon)]
    fn ambitious() -> (bool, String) {
        let error = Builder::new()
            .name("grandchild")
            .spawn(nothing::new())
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DaemonicChildren);
        (procession::current().is_daemon(), error.to_string())
    }
    under_each_method(|method| {
        let child = spawn(method, ambitious::new());
        assert!(child.is_daemon());
        let (daemon, error) = child.join().unwrap();
        assert!(daemon);
        assert_eq!(
            error,
            "cannot start process `grandchild`: daemonic processes are not allowed to have children"
        );
        // The attribute is a default only.
        let child = by(method).daemon(false).spawn(nothing::new()).unwrap();
        assert!(!child.is_daemon());
        child.join().unwrap();
    });
}
