//! Processes that are started before they are asked for.

use crate::forkserver::{
    alone_within_deadline, child_ids_as_they_are, parents, run, spares, spawn,
};
use nix::sys::signal::Signal;
use procession::{children, prewarm, process};
use procession_tests::{child_ids, descriptors, eventually, send_signal, state};

#[test]
fn spares_are_kept_as_many_as_wanted() {
    alone_within_deadline(|| {
        let before = (descriptors(), child_ids());
        prewarm(3).unwrap();
        eventually("three are ready", || spares().len() == 3);
        let ready = spares();
        assert!(children().is_empty(), "{:?}", children());
        let child = spawn(parents::new());
        assert!(ready.contains(&child.id()));
        assert_eq!(child.join().unwrap().0, std::process::id());
        // It was replaced by the time it was at work.
        eventually("three are ready again", || spares().len() == 3);
        prewarm(1).unwrap();
        assert_eq!(spares().len(), 1);
        prewarm(0).unwrap();
        assert_eq!(spares().len(), 0);
        assert_eq!((descriptors(), child_ids()), before);
    });
}

/// Starts processes, and sees that a spare is kept once that is a habit.
#[process]
fn habit() {
    for kept in [0, 0, 1, 1] {
        run(parents::new());
        eventually("what was asked for is there", || spares().len() == kept);
        assert_eq!(child_ids_as_they_are().len(), 1 + kept);
    }
}

#[test]
fn spare_is_kept_from_the_third_start_on() {
    alone_within_deadline(|| run(habit::new()));
}

/// Waits until its spare has waited long enough, and starts another child then.
#[process]
fn patient() -> bool {
    prewarm(1).unwrap();
    eventually("it is there", || spares().len() == 1);
    let spare = spares()[0];
    eventually("it has ended", || state(spare) == Some('Z'));
    let child = spawn(parents::new());
    let fresh = child.id() != spare && state(spare).is_none();
    child.join().unwrap();
    eventually("there is another", || spares().len() == 1);
    fresh
}

#[test]
fn spare_that_nobody_wants_ends() {
    alone_within_deadline(|| assert!(run(patient::new())));
}

#[test]
fn dead_spare_is_passed_over() {
    alone_within_deadline(|| {
        prewarm(1).unwrap();
        eventually("it is there", || spares().len() == 1);
        let spare = spares()[0];
        send_signal(spare, Signal::SIGKILL);
        eventually("it is dead", || state(spare) == Some('Z'));
        let child = spawn(parents::new());
        assert_ne!(child.id(), spare);
        child.join().unwrap();
        prewarm(0).unwrap();
        assert_eq!(state(spare), None);
    });
}
