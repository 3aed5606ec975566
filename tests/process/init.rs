//! Functions that run in every child before its own.

use procession::{Builder, ErrorKind, JoinErrorKind, process};
use procession_tests::{WAS_SET_UP, by, under_each_method};
use std::{
    env, error,
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

/// Runs before its function in a child too, but it has nothing to say.
#[procession::init]
fn another() {
    SETUPS.fetch_add(100, Ordering::Relaxed);
}

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
