//! Kills and stops a process at every point of sending and receiving, one point after the other,
//! and checks what the other processes get.
//!
//! The points are those of [`step`](crate::sys::step). A new process is started for each point, and
//! does one thing.

mod scene;

use super::{RecvTimeoutError, SendTimeoutError, Tasks, TryRecvError, TrySendError};
use crate::sys::{signal, step::Signal, wait};
use procession::Child;
use scene::{Act, KINDS, Kind, Message, NAP, Outcome, SOON, Scene, Who, until};
use std::{
    fs,
    os::{fd::AsFd, unix::process::ExitStatusExt},
    thread,
    time::Instant,
};

/// Calls `at` for every point, until it returns true: the process ended before the point. There
/// must be more points than `least`.
fn each_point(least: u64, mut at: impl FnMut(u64) -> bool) {
    for point in 1.. {
        assert!(point < 500, "it never comes to an end");
        if at(point) {
            assert!(point > least, "only {} points", point - 1);
            return;
        }
    }
}

/// Joins a process. Returns its outcome if it ended before its point, and `None` if it was killed
/// there.
fn killed(victim: Child<Outcome>) -> Option<Outcome> {
    match victim.join() {
        Ok(outcome) => {
            assert!(outcome.is_over);
            Some(outcome)
        }
        Err(error) => {
            let status = error.status().expect("it ran");
            assert_eq!(status.signal(), Some(signal::SIGKILL), "{error:?}");
            None
        }
    }
}

fn kill_at_each_point(act: Act, waiting: &[Kind], watched: bool, least: u64) {
    each_point(least, |point| {
        let mut scene = Scene::new(watched);
        for kind in waiting {
            scene.send(*kind);
        }
        if act == Act::SleepForRoom {
            scene.fill();
        }
        let outcome = killed(scene.start(act, point, Signal::SIGKILL));
        scene.watched |= act == Act::Watch;
        let (sends, receives) = (matches!(act, Act::Send(_)), matches!(act, Act::Receive));
        let of_victim = scene.check(u64::from(receives));
        assert!(of_victim <= u64::from(sends), "it came twice");
        if outcome.is_some() {
            assert_eq!(of_victim, u64::from(sends), "what was sent is there");
        }
        outcome.is_some()
    });
}

#[test]
fn sender_killed_at_any_point_is_nobodys_loss() {
    for kind in KINDS {
        for watched in [false, true] {
            kill_at_each_point(Act::Send(kind), &[], watched, 8);
            kill_at_each_point(Act::Send(kind), &[Kind::Middle, Kind::Carried], watched, 8);
        }
    }
}

#[test]
fn receiver_killed_at_any_point_takes_along_one_message_at_most() {
    for kind in KINDS {
        for watched in [false, true] {
            kill_at_each_point(Act::Receive, &[kind], watched, 3);
            kill_at_each_point(
                Act::Receive,
                &[kind, Kind::Carried, Kind::Middle],
                watched,
                3,
            );
        }
    }
    let all = [Kind::Middle; 7];
    kill_at_each_point(Act::Receive, &all, false, 3);
}

#[test]
fn waiter_killed_at_any_point_is_missed_by_nobody() {
    for watched in [false, true] {
        kill_at_each_point(Act::Look, &[], watched, 1);
        kill_at_each_point(Act::SleepForArrival, &[], watched, 3);
        kill_at_each_point(Act::SleepForRoom, &[], watched, 3);
    }
    for waiting in [&[][..], &[Kind::Short]] {
        kill_at_each_point(Act::Watch, waiting, false, 1);
    }
}

/// The letter of its state. `None` if the process is gone.
fn state(child: &Child<Outcome>) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Waits until the process is stopped or has ended. Returns whether it is stopped.
fn is_stopped_in_time(child: &Child<Outcome>) -> bool {
    let deadline = Instant::now() + SOON;
    loop {
        match state(child) {
            Some('T') => return true,
            None | Some('Z' | 'X') => return false,
            _ => assert!(Instant::now() < deadline, "it neither stops nor ends"),
        }
        thread::yield_now();
    }
}

fn stop_at_each_point(act: Act, waiting: &[Kind], watched: bool, least: u64) {
    each_point(least, |point| {
        let mut scene = Scene::new(watched);
        for kind in waiting {
            scene.send(*kind);
        }
        if act == Act::SleepForRoom {
            scene.fill();
        }
        let victim = scene.start(act, point, Signal::SIGSTOP);
        let is_stopped = is_stopped_in_time(&victim);
        let mut received = Vec::new();
        if is_stopped {
            let message = |number| Message::new(Who::Survivor, number, Kind::Carried);
            let begun = Instant::now();
            match scene.sender.try_send(message(scene.next)) {
                Ok(()) => scene.next += 1,
                Err(error) => assert!(matches!(error, TrySendError::Full(_)), "{error:?}"),
            }
            match scene.sender.send_timeout(message(scene.next), NAP) {
                Ok(()) => scene.next += 1,
                Err(error) => assert!(matches!(error, SendTimeoutError::Timeout(_)), "{error:?}"),
            }
            match scene.receiver.try_recv() {
                Ok(message) => received.push(message),
                Err(error) => assert!(matches!(error, TryRecvError::Empty), "{error:?}"),
            }
            match scene.receiver.recv_timeout(NAP) {
                Ok(message) => received.push(message),
                Err(error) => assert!(matches!(error, RecvTimeoutError::Timeout), "{error:?}"),
            }
            let _ = scene.receiver.as_fd();
            assert!(begun.elapsed() < SOON, "they waited for a stopped process");
            victim.signal(signal::SIGCONT).unwrap();
        }
        let outcome = victim.join().unwrap();
        received.extend(scene.receiver.try_iter().map(Result::unwrap));
        for message in &received {
            message.check();
        }
        let numbers = |who| {
            let of_who = received.iter().filter(move |message| message.who == who);
            of_who.map(|message| message.number).collect::<Vec<_>>()
        };
        let mut ours = numbers(Who::Survivor);
        assert!(ours.is_sorted());
        let mut of_victim = numbers(Who::Victim);
        match outcome.received {
            Some((Who::Survivor, number)) => ours.push(number),
            Some((Who::Victim, number)) => of_victim.push(number),
            None => {}
        }
        ours.sort_unstable();
        assert!(ours.into_iter().eq(scene.due..scene.next), "each came once");
        assert_eq!(of_victim.len(), usize::from(outcome.sent));
        scene.due = scene.next;
        scene.check(0);
        assert_eq!(outcome.is_over, !is_stopped);
        outcome.is_over
    });
}

#[test]
fn sender_stopped_at_any_point_keeps_nobody() {
    stop_at_each_point(Act::Send(Kind::Short), &[Kind::Middle], false, 8);
    for watched in [false, true] {
        stop_at_each_point(Act::Send(Kind::Carried), &[], watched, 8);
    }
}

#[test]
fn receiver_stopped_at_any_point_keeps_nobody() {
    for watched in [false, true] {
        let waiting = [Kind::Carried, Kind::Short];
        stop_at_each_point(Act::Receive, &waiting, watched, 3);
        stop_at_each_point(Act::Receive, &waiting[..1], watched, 3);
    }
}

#[test]
fn waiter_stopped_at_any_point_keeps_nobody() {
    for watched in [false, true] {
        stop_at_each_point(Act::SleepForArrival, &[], watched, 3);
        stop_at_each_point(Act::SleepForRoom, &[], watched, 3);
    }
    stop_at_each_point(Act::Watch, &[Kind::Short], false, 1);
}

#[test]
fn sleeping_receiver_is_woken_whoever_was_killed() {
    let acts = [
        Act::Send(Kind::Short),
        Act::Send(Kind::Carried),
        Act::SleepForArrival,
        Act::Watch,
    ];
    for act in acts {
        each_point(1, |point| {
            let mut scene = Scene::new(false);
            let receiver = scene.receiver.clone();
            let asleep = thread::spawn(move || {
                loop {
                    let message = receiver.recv_timeout(SOON).unwrap();
                    message.check();
                    if message.who == Who::Survivor {
                        return message.number;
                    }
                }
            });
            until(|| scene.sender.is_waited_for().0);
            let outcome = killed(scene.start(act, point, Signal::SIGKILL));
            // If the process has sent its message, that message has woken the receiver already.
            until(|| scene.receiver.is_empty());
            scene.send(Kind::Short);
            assert_eq!(asleep.join().unwrap(), scene.due);
            scene.due += 1;
            scene.check(0);
            outcome.is_some()
        });
    }
}

#[test]
fn sleeping_sender_is_woken_whoever_was_killed() {
    for act in [Act::Receive, Act::SleepForRoom] {
        each_point(3, |point| {
            let mut scene = Scene::new(false);
            scene.fill();
            let (sender, next, full) = (scene.sender.clone(), scene.next, scene.sender.len());
            let asleep = thread::spawn(move || {
                let message = Message::new(Who::Survivor, next, Kind::Short);
                sender.send_timeout(message, SOON).unwrap();
            });
            until(|| scene.sender.is_waited_for().1);
            let outcome = killed(scene.start(act, point, Signal::SIGKILL));
            // If the process has received a message, that room has woken the sender already.
            until(|| scene.sender.len() == full);
            drop(scene.receiver.recv_timeout(SOON).unwrap());
            asleep.join().unwrap();
            drop(scene.receiver.try_iter().collect::<Vec<_>>());
            scene.next += 1;
            scene.due = scene.next;
            scene.check(0);
            outcome.is_some()
        });
    }
}

/// Starts a process that sleeps, and stops it in its sleep: if it is woken now, it does not look.
fn stop_asleep(scene: &Scene, act: Act, is_asleep: impl Fn() -> bool) -> Child<Outcome> {
    let child = scene.start(act, 0, Signal::SIGKILL);
    until(is_asleep);
    // It has set `WANTED`, and sleeps: so it has released the lock.
    until(|| state(&child) == Some('S'));
    child.signal(signal::SIGSTOP).unwrap();
    assert!(is_stopped_in_time(&child));
    child
}

#[test]
fn sleeper_that_was_woken_in_vain_is_not_forgotten() {
    let acts = [Act::SleepForArrival, Act::Look, Act::Watch];
    for (act, watched) in acts.into_iter().flat_map(|act| [(act, false), (act, true)]) {
        each_point(0, |point| {
            let mut scene = Scene::new(watched);
            let mut asleep = stop_asleep(&scene, Act::Receive, || scene.sender.is_waited_for().0);
            scene.send(Kind::Short);
            scene.take_next();
            let outcome = killed(scene.start(act, point, Signal::SIGKILL));
            asleep.signal(signal::SIGCONT).unwrap();
            scene.send(Kind::Short);
            let woken = asleep.join_timeout(SOON).unwrap();
            let received = woken.expect("it is woken").received;
            assert_eq!(received, Some((Who::Survivor, scene.due)));
            outcome.is_some()
        });
    }
    each_point(3, |point| {
        let mut scene = Scene::new(false);
        scene.fill();
        let kind = Kind::Short;
        let mut asleep = stop_asleep(&scene, Act::Send(kind), || scene.sender.is_waited_for().1);
        scene.take_next();
        scene.fill();
        let outcome = killed(scene.start(Act::SleepForRoom, point, Signal::SIGKILL));
        asleep.signal(signal::SIGCONT).unwrap();
        scene.take_next();
        let woken = asleep.join_timeout(SOON).unwrap();
        assert!(woken.expect("it is woken").sent);
        outcome.is_some()
    });
}

#[test]
fn what_a_killed_sender_had_in_hand_is_given_back() {
    for watches in [false, true] {
        each_point(8, |point| {
            let scene = Scene::new(watches);
            let receiver = scene.receiver.clone();
            // A receiver that sleeps in `recv`, or that calls `try_recv` whenever the descriptor is
            // readable.
            let asleep = thread::spawn(move || {
                while !watches || wait::readable(receiver.as_fd(), None).unwrap() {
                    let next = if watches {
                        receiver.try_recv()
                    } else {
                        receiver.recv().map_err(Into::into)
                    };
                    match next {
                        Ok(message) => message.check(),
                        Err(TryRecvError::Empty) => {}
                        Err(error) => {
                            assert!(matches!(error, TryRecvError::Disconnected), "{error:?}");
                            return;
                        }
                    }
                }
            });
            until(|| watches || scene.sender.is_waited_for().0);
            let tasks = Tasks::new().unwrap();
            let task = Some(tasks.start().unwrap());
            let act = Act::Send(Kind::Short);
            let outcome = killed(scene.start_with(act, point, Signal::SIGKILL, task));
            assert!(
                tasks.join_timeout(SOON).unwrap(),
                "nobody has it, and it is not given back"
            );
            drop(scene);
            asleep.join().unwrap();
            outcome.is_some()
        });
    }
}
