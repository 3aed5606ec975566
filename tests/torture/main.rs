//! Processes that are killed and stopped at random moments, over and over.

#![allow(missing_docs, reason = "tests")]

mod kill_pipe;
mod kill_queue;
mod kill_sync;
mod pool;
mod starts;

use procession_tests::{alone, holdings, threads, within};
use std::{
    env,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// Runs a test alone, while no other test of this program keeps the machine busy, and checks that
/// it leaves nothing.
fn in_turn(test: impl FnOnce()) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    alone(|| {
        // A test has rounds for up to three start methods.
        within(Duration::from_secs(300) + 3 * torture_time(), || {
            let before = (holdings(), threads());
            test();
            assert_eq!((holdings(), threads()), before);
        });
    });
}

/// Counts the rounds of a test: `least`, and more until `PROCESSION_TORTURE_SECONDS` are over.
fn rounds(least: u32) -> impl Iterator<Item = u32> {
    let (begun, time) = (Instant::now(), torture_time());
    (0..).take_while(move |round| *round < least || begun.elapsed() < time)
}

/// How long the rounds of a test go on at least; 0 s where nobody asks for more.
fn torture_time() -> Duration {
    let seconds = env::var("PROCESSION_TORTURE_SECONDS");
    let seconds = seconds.map_or(0, |seconds| seconds.parse().expect("it is a number"));
    Duration::from_secs(seconds)
}

/// A random time of less than `limit` microseconds.
fn moment(limit: u64) -> Duration {
    Duration::from_micros(RandomState::new().hash_one(thread::current().id()) % limit)
}
