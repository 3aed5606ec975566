//! Functions that run in every child before its own.

#![allow(unsafe_code, reason = "a copy is made by the bare call")]

use procession::{Builder, ErrorKind, JoinErrorKind, process};
use procession_tests::{WAS_SET_UP, by, under_each_method};
use std::{
    env, error,
    io::Write,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// Says what the setup below does.
const ACT: &str = "PROCESSION_TESTS_SETUP";

static SETUPS: AtomicU32 = AtomicU32::new(0);

#[procession::init]
fn setup() -> Result<(), Box<dyn error::Error + Send + Sync>> {
    SETUPS.fetch_add(1, Ordering::Relaxed);
    match env::var(ACT).as_deref() {
        Ok("fail") => Err(Box::new("x".parse::<u8>().unwrap_err())),
        Ok("panic") => panic!("no configuration"),
        Ok("display") => Err(Box::new(Silent)),
        Ok("fork") => {
            copy_this_process();
            Ok(())
        }
        Ok("exit") => std::process::exit(3),
        Ok("hang") => procession_tests::forever(),
        Ok("hook") => {
            std::panic::set_hook(Box::new(|_| {}));
            Ok(())
        }
        Ok("spawn") => {
            // That child has a setup of its own.
            let child = Builder::new().env_remove(ACT).spawn(counted::new(0))?;
            assert_eq!(child.join()?, [(1, true)]);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Runs before its function in a child too. Its name is one that the macro could have used.
#[procession::init]
fn add() {
    SETUPS.fetch_add(100, Ordering::Relaxed);
}

#[procession::init]
#[allow(non_snake_case, reason = "as above")]
fn INIT() {
    SETUPS.fetch_add(10_000, Ordering::Relaxed);
}

fn copy_this_process() {
    // SAFETY: the copy does what a process with one thread may do.
    unsafe { nix::unistd::fork() }.unwrap();
}

/// How often each of the three has run.
#[process]
fn setups() -> u32 {
    SETUPS.load(Ordering::Relaxed)
}

#[test]
fn each_function_runs_once() {
    for method in procession_tests::ANEW {
        assert_eq!(
            by(method).spawn(setups::new()).unwrap().join().unwrap(),
            10_101
        );
    }
}

/// An error that cannot say what it is.
#[derive(Debug)]
struct Silent;

impl std::fmt::Display for Silent {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("no words")
    }
}

impl error::Error for Silent {}

/// How often this process, and each of its descendants, was set up by this crate and by another.
#[process]
fn counted(depth: u32) -> Vec<(u32, bool)> {
    let setups = SETUPS.load(Ordering::Relaxed) % 100;
    let mut all = vec![(setups, WAS_SET_UP.load(Ordering::Relaxed))];
    if depth > 0 {
        all.extend(counted::spawn(depth - 1).unwrap().join().unwrap());
    }
    all
}

#[test]
fn child_is_set_up_before_its_function() {
    // The other test processes are children here and there, and count for themselves.
    if procession::parent().is_none() {
        assert_eq!(counted(0), [(0, false)]);
    }
    under_each_method(|method| {
        let before = SETUPS.load(Ordering::Relaxed) % 100;
        let is_copy = method == procession::StartMethod::Fork;
        let children = by(method).spawn(counted::new(1)).unwrap().join().unwrap();
        let first = if is_copy { before + 1 } else { 1 };
        assert_eq!(children, [(first, true), (1, true)]);
    });
}

#[test]
fn reason_why_a_child_is_not_set_up_is_that_of_its_spawn() {
    under_each_method(|method| {
        let fails = |act| by(method).env(ACT, act).spawn(counted::new(0)).unwrap_err();
        let error = fails("fail");
        assert_eq!(error.kind(), ErrorKind::Init);
        assert!(
            error
                .to_string()
                .ends_with("`process::init::setup` has failed"),
            "{error}"
        );
        let source = error::Error::source(&error).unwrap();
        assert_eq!(source.to_string(), "invalid digit found in string");
        let error = fails("panic");
        assert_eq!(error.kind(), ErrorKind::Init);
        let text = error.to_string();
        assert!(
            text.contains("`process::init::setup` panicked at "),
            "{text}"
        );
        assert!(text.ends_with(": no configuration"), "{text}");
        let error = fails("display");
        assert_eq!(error.kind(), ErrorKind::Init);
        assert!(error.to_string().ends_with(": no words"), "{error}");
        let error = fails("exit");
        assert_eq!(error.kind(), ErrorKind::EndedEarly);
        assert!(error.to_string().ends_with("with exit status 3"), "{error}");
        // It counts as a part of the start.
        let builder = by(method).timeout(Duration::from_millis(300));
        let child = builder.env(ACT, "hang").spawn(counted::new(0)).unwrap();
        assert_eq!(child.join().unwrap_err().kind(), JoinErrorKind::TimedOut);
        // The next one is not affected.
        by(method).spawn(counted::new(0)).unwrap().join().unwrap();
    });
}

/// A copy of a child is no child: it does not run the function.
#[test]
fn copy_made_by_a_setup_runs_nothing() {
    #[process]
    fn once(ran: &std::io::PipeWriter) -> u32 {
        let mut ran = ran;
        ran.write_all(b"x").unwrap();
        std::process::id()
    }
    under_each_method(|method| {
        let (reader, writer) = std::io::pipe().unwrap();
        let child = by(method)
            .env(ACT, "fork")
            .spawn(once::new(&writer))
            .unwrap();
        let id = child.id();
        drop(writer);
        assert_eq!(child.join().unwrap(), id);
        // Whoever could run it has ended.
        assert_eq!(procession_tests::read_to_end(reader), "x");
    });
}

#[test]
fn setup_may_start_processes() {
    under_each_method(|method| {
        let child = by(method).env(ACT, "spawn").spawn(counted::new(0)).unwrap();
        child.join().unwrap();
    });
}

#[test]
fn panic_is_told_whole_where_the_setup_has_set_a_hook() {
    #[process]
    fn fail() {
        panic!("in the child");
    }
    under_each_method(|method| {
        let child = by(method).env(ACT, "hook").spawn(fail::new()).unwrap();
        let error = child.join().unwrap_err();
        let panic = error.panic().unwrap();
        assert_eq!(
            (panic.message(), panic.file()),
            ("in the child", Some(file!()))
        );
    });
}
