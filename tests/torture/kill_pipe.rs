//! Processes that are killed in the middle of what they do with a pipe, at random moments. Those at
//! the other end are told, in less than a second each time, and have lost nothing that was sent
//! whole.

#![allow(
    clippy::needless_pass_by_value,
    reason = "a process owns what it is given"
)]

use crate::{in_turn, moment, rounds};
use procession::{
    Child, Process, StartMethod,
    channel::{Connection, RecvError, RecvTimeoutError, SendError, pipe},
    process,
};
use std::{
    thread,
    time::{Duration, Instant},
};

/// What a survivor may have to wait.
const SOON: Duration = Duration::from_secs(1);

/// How many are killed at each of their works, at least.
const ROUNDS: u32 = 700;

/// Numbered, and of every length: nothing, what fits into the pipe, and what does not. No two have
/// the same bytes at the same place.
fn message(number: u32) -> (u32, Vec<u8>) {
    let lengths = [0_usize, 100, 10_000, 70_000, 5_000, 20_000, 1_000_000];
    let length = lengths[number as usize % lengths.len()];
    let [low, high, ..] = number.to_le_bytes();
    let pattern = [low, high, low ^ 0x55, high ^ 0xaa, low.wrapping_mul(3)];
    let mut bytes = pattern.repeat(length.div_ceil(pattern.len()));
    bytes.truncate(length);
    (number, bytes)
}

type End = Connection<(u32, Vec<u8>), (u32, Vec<u8>)>;

fn start<P: Process>(process: P) -> Child<P::Output> {
    procession_tests::start(StartMethod::ForkServer, process)
}

/// Kills processes that have one end of a pipe at random moments, while this one does something
/// with the other.
fn kill_over_and_over(victim: impl Fn(End) -> Child<()>, survive: impl Fn(&End)) {
    in_turn(|| {
        for round in rounds(ROUNDS) {
            let (ours, theirs) = pipe().unwrap();
            let mut victim = victim(theirs);
            let moment = moment(2000);
            let handle = victim.handle();
            let killer = thread::spawn(move || {
                thread::sleep(moment);
                let killed = Instant::now();
                handle.kill().unwrap();
                killed
            });
            survive(&ours);
            let over = Instant::now();
            let since = killer.join().unwrap();
            let took = over.saturating_duration_since(since);
            assert!(took < SOON, "round {round}: {took:?}");
            victim.wait().unwrap();
            // It stays so.
            ours.send(message(0)).unwrap_err();
            let received = ours.recv_timeout(SOON);
            assert!(
                matches!(
                    received,
                    Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Truncated)
                ),
                "{received:?}"
            );
        }
    });
}

/// Receives everything, in order and whole, until the other side is gone.
fn receive_all(end: &End) {
    for number in 0.. {
        match end.recv() {
            Ok(received) => assert!(received == message(number)),
            Err(RecvError::Disconnected | RecvError::Truncated) => return,
            Err(error) => panic!("after {number}: {error}"),
        }
    }
}

/// Sends until the other side is gone.
fn send_all(end: &End) {
    for number in 0.. {
        match end.send(message(number)) {
            Ok(()) => {}
            Err(SendError::Disconnected(returned)) => return assert!(returned == message(number)),
            Err(error) => panic!("after {number}: {error}"),
        }
    }
}

#[test]
fn receiver_survives() {
    #[process]
    fn work(end: End) {
        send_all(&end);
    }
    kill_over_and_over(|end| start(work::new(end)), receive_all);
}

#[test]
fn sender_survives() {
    #[process]
    fn work(end: End) {
        receive_all(&end);
    }
    kill_over_and_over(|end| start(work::new(end)), send_all);
}

#[test]
fn both_ways_survive() {
    #[process]
    fn work(end: End) {
        thread::scope(|scope| {
            scope.spawn(|| send_all(&end));
            receive_all(&end);
        });
    }
    kill_over_and_over(
        |end| start(work::new(end)),
        |end| {
            thread::scope(|scope| {
                scope.spawn(|| send_all(end));
                receive_all(end);
            });
        },
    );
}

#[test]
fn who_waits_for_a_reply_survives() {
    #[process]
    fn work(end: End) {
        while let Ok(request) = end.recv() {
            if end.send(request).is_err() {
                break;
            }
        }
    }
    kill_over_and_over(
        |end| start(work::new(end)),
        |end| {
            for number in 0.. {
                let answer = match end.send(message(number)) {
                    Ok(()) => end.recv(),
                    Err(SendError::Disconnected(_)) => return,
                    Err(error) => panic!("{error}"),
                };
                match answer {
                    Ok(answer) => assert!(answer == message(number)),
                    Err(RecvError::Disconnected | RecvError::Truncated) => return,
                    Err(error) => panic!("{error}"),
                }
            }
        },
    );
}

#[test]
fn who_looks_with_a_deadline_survives() {
    #[process]
    fn work(end: End) {
        send_all(&end);
    }
    kill_over_and_over(
        |end| start(work::new(end)),
        |end| {
            let mut number = 0;
            loop {
                let _ = end.poll(Some(Duration::from_micros(50))).unwrap();
                match end.recv_timeout(Duration::from_micros(50)) {
                    Ok(received) => {
                        assert!(received == message(number));
                        number += 1;
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Truncated) => return,
                    Err(error) => panic!("{error}"),
                }
            }
        },
    );
}
