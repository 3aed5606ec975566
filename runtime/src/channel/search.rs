//! Kills and stops a process at every point of sending and receiving, one after the other, and looks at what the others get.
//!
//! The points are those of [`step`](super::step). A process is started for each, and does one thing.

use super::{
    Receiver, RecvTimeoutError, SendTimeoutError, Sender, Task, Tasks, TryRecvError, TrySendError,
    queue, step,
};
use crate::{Builder, Child, Fd, StartMethod, process, sys::wait};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    os::{fd::AsFd, unix::process::ExitStatusExt},
    thread,
    time::{Duration, Instant},
};

/// What a process is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Act {
    Send(Kind),
    /// Receives a message that is there.
    Receive,
    /// Finds nothing to receive.
    Look,
    /// Sleeps until its time is up: there is nothing to receive.
    SleepForArrival,
    /// As above: there is no room.
    SleepForRoom,
    /// Asks for the descriptor that tells of messages.
    Watch,
}

/// What a message is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    Short,
    Middle,
    /// It goes through a memory of its own.
    Large,
    /// It has a descriptor.
    Carried,
}

const KINDS: [Kind; 4] = [Kind::Short, Kind::Middle, Kind::Large, Kind::Carried];

#[derive(Debug, Serialize, Deserialize)]
struct Message {
    who: Who,
    number: u64,
    kind: Kind,
    body: Vec<u8>,
    files: Vec<Fd<File>>,
    task: Option<Task>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Who {
    Victim,
    Survivor,
}

impl Message {
    fn new(who: Who, number: u64, kind: Kind) -> Self {
        let (length, files) = match kind {
            Kind::Short => (30, 0),
            Kind::Middle => (9_000, 0),
            Kind::Large => (100_000, 0),
            Kind::Carried => (500, 1),
        };
        let seed = number.wrapping_mul(31).wrapping_add(who as u64);
        let body = (0..length).map(|at: u64| at.wrapping_mul(seed | 1).to_le_bytes()[1]);
        let null = || Fd(File::open("/dev/null").unwrap());
        Self {
            who,
            number,
            kind,
            body: body.collect(),
            files: (0..files).map(|_| null()).collect(),
            task: None,
        }
    }

    fn check(&self) {
        let whole = Self::new(self.who, self.number, self.kind);
        assert!(self.body == whole.body, "the bytes are of several messages");
        assert_eq!(self.files.len(), whole.files.len());
    }
}

/// How it went with a process that was not killed.
#[derive(Debug, Serialize, Deserialize)]
struct Outcome {
    /// Whether it came to an end before the point.
    is_over: bool,
    sent: bool,
    received: Option<(Who, u64)>,
}

/// More messages than there is room for in bytes, if they are not short.
const CAPACITY: usize = 64;

const VICTIMS: u64 = 1_000_000;

/// How long somebody sleeps who is to find nothing.
const NAP: Duration = Duration::from_millis(3);

/// How long those who are left may wait: for ever would be the fault.
const SOON: Duration = Duration::from_secs(10);

#[process]
fn act(
    sender: Sender<Message>,
    receiver: Receiver<Message>,
    act: Act,
    point: u64,
    signal: i32,
    task: Option<Task>,
) -> Outcome {
    let mut message = match act {
        Act::Send(kind) => Message::new(Who::Victim, VICTIMS, kind),
        _ => Message::new(Who::Victim, VICTIMS, Kind::Middle),
    };
    message.task = task;
    step::arm(point, Signal::try_from(signal).unwrap());
    let (mut sent, mut received) = (false, None);
    match act {
        Act::Send(_) => {
            sender.send(message).unwrap();
            sent = true;
        }
        Act::SleepForRoom => match sender.send_timeout(message, NAP) {
            Ok(()) => sent = true,
            Err(SendTimeoutError::Timeout(_)) => {}
            Err(error) => panic!("{error}"),
        },
        Act::Receive => received = Some(receiver.recv().unwrap()),
        Act::Look => match receiver.try_recv() {
            Ok(message) => received = Some(message),
            Err(TryRecvError::Empty) => {}
            Err(error) => panic!("{error}"),
        },
        Act::SleepForArrival => match receiver.recv_timeout(NAP) {
            Ok(message) => received = Some(message),
            Err(RecvTimeoutError::Timeout) => {}
            Err(error) => panic!("{error}"),
        },
        Act::Watch => drop(receiver.as_fd()),
    }
    let is_over = step::disarm();
    if let Some(message) = &received {
        message.check();
    }
    Outcome {
        is_over,
        sent,
        received: received.map(|message| (message.who, message.number)),
    }
}

/// A queue, and what is known of it.
struct Scene {
    sender: Sender<Message>,
    receiver: Receiver<Message>,
    /// The number of the next message of those who are left, and of the next that is to come.
    next: u64,
    due: u64,
    watched: bool,
}

impl Scene {
    fn new(watched: bool) -> Self {
        let (sender, receiver) = queue(CAPACITY).unwrap();
        let mut scene = Self {
            sender,
            receiver,
            next: 0,
            due: 0,
            watched,
        };
        if watched {
            assert!(!scene.is_ready());
        }
        // So that messages go round the end of the ring.
        for _ in 0..5 {
            scene.send(Kind::Middle);
        }
        for _ in 0..5 {
            scene.take_next();
        }
        scene
    }

    fn send(&mut self, kind: Kind) {
        let message = Message::new(Who::Survivor, self.next, kind);
        self.sender.send_timeout(message, SOON).unwrap();
        self.next += 1;
    }

    /// Sends until not even a short one has room.
    fn fill(&mut self) {
        let order = [Kind::Middle, Kind::Carried, Kind::Middle, Kind::Large];
        let mut kinds = order.into_iter().cycle();
        let mut kind = Kind::Middle;
        loop {
            let message = Message::new(Who::Survivor, self.next, kind);
            match self.sender.try_send(message) {
                Ok(()) => {
                    self.next += 1;
                    if kind != Kind::Short {
                        kind = kinds.next().unwrap();
                    }
                }
                Err(TrySendError::Full(_)) if kind == Kind::Short => return,
                Err(TrySendError::Full(_)) => kind = Kind::Short,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Takes the next message of those who are left, which is there.
    fn take_next(&mut self) {
        let message = self.receiver.recv_timeout(SOON).unwrap();
        message.check();
        assert_eq!((message.who, message.number), (Who::Survivor, self.due));
        self.due += 1;
    }

    /// Takes all messages. Of those who are left as many may be missing as is said, and only the first; returns how many of the victim's
    /// there were.
    fn drain(&mut self, mut may_miss: u64) -> u64 {
        let mut of_victim = 0;
        loop {
            let message = match self.receiver.try_recv() {
                Ok(message) => message,
                Err(TryRecvError::Empty) => break,
                Err(error) => panic!("somebody who was left got: {error:?}"),
            };
            message.check();
            match message.who {
                Who::Victim => of_victim += 1,
                Who::Survivor => {
                    let missing = message.number.checked_sub(self.due);
                    let missing = missing.expect("it is the first of its number");
                    assert!(missing <= may_miss, "{missing} are missing");
                    self.due = message.number + 1;
                }
            }
            may_miss = 0;
        }
        let missing = self.next - self.due;
        assert!(missing <= may_miss, "{missing} are missing");
        self.due = self.next;
        of_victim
    }

    fn start(&self, act: Act, point: u64, signal: Signal) -> Child<Outcome> {
        self.start_with(act, point, signal, None)
    }

    fn start_with(
        &self,
        act_: Act,
        point: u64,
        signal: Signal,
        task: Option<Task>,
    ) -> Child<Outcome> {
        let victim = act::new(
            self.sender.clone(),
            self.receiver.clone(),
            act_,
            point,
            signal as i32,
            task,
        );
        let builder = Builder::new()
            .start_method(StartMethod::ForkServer)
            .daemon(true);
        builder.spawn(victim).unwrap()
    }

    fn is_ready(&self) -> bool {
        wait::readable(self.receiver.as_fd(), Some(Instant::now())).unwrap()
    }

    /// Those who are left get on.
    fn check(&mut self, may_miss: u64) -> u64 {
        if self.watched && self.receiver.is_empty() {
            assert!(matches!(self.receiver.try_recv(), Err(TryRecvError::Empty)));
            assert!(!self.is_ready(), "nothing is there, and it stays readable");
        } else if self.watched {
            assert!(
                self.is_ready(),
                "something is there, and it is not readable"
            );
        }
        // What was given free is written over, and nothing that was not.
        self.fill();
        let of_victim = self.drain(may_miss);
        for _ in 0..2 {
            self.fill();
            assert_eq!(self.drain(0), 0);
        }
        // There is room for as many as there ever was.
        for _ in 0..CAPACITY {
            let message = Message::new(Who::Survivor, self.next, Kind::Short);
            self.sender.try_send(message).unwrap();
            self.next += 1;
        }
        assert_eq!(self.drain(0), 0);
        if self.watched {
            assert!(!self.is_ready(), "nothing is there, and it is readable");
            self.send(Kind::Short);
            assert!(self.is_ready());
            self.take_next();
            assert!(!self.is_ready());
        }
        self.check_sleep();
        of_victim
    }

    /// Who sleeps is woken.
    fn check_sleep(&mut self) {
        let receiver = self.receiver.clone();
        let asleep = thread::spawn(move || receiver.recv_timeout(SOON).unwrap().number);
        until(|| self.sender.is_waited_for().0 || self.watched);
        self.send(Kind::Short);
        assert_eq!(asleep.join().unwrap(), self.due);
        self.due += 1;
        self.fill();
        let (sender, next) = (self.sender.clone(), self.next);
        let asleep = thread::spawn(move || {
            let message = Message::new(Who::Survivor, next, Kind::Short);
            sender.send_timeout(message, SOON).unwrap();
        });
        self.next += 1;
        until(|| self.sender.is_waited_for().1);
        self.take_next();
        asleep.join().unwrap();
        assert_eq!(self.drain(0), 0);
    }
}

fn until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !condition() {
        assert!(Instant::now() < deadline, "it has not come about");
        thread::yield_now();
    }
}

/// Does something for every point, until it returns that the process came to its end before. There must be more points than `least`.
fn each_point(least: u64, mut at: impl FnMut(u64) -> bool) {
    for point in 1.. {
        assert!(point < 500, "it never comes to an end");
        if at(point) {
            assert!(point > least, "only {} points", point - 1);
            return;
        }
    }
}

/// Joins a process that was killed at its point, or came to its end before; returns what it says then.
fn killed(victim: Child<Outcome>) -> Option<Outcome> {
    match victim.join() {
        Ok(outcome) => {
            assert!(outcome.is_over);
            Some(outcome)
        }
        Err(error) => {
            let status = error.status().expect("it ran");
            assert_eq!(status.signal(), Some(libc::SIGKILL), "{error:?}");
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

/// Whether it is stopped, rather than ended.
fn is_stopped_in_time(child: &mut Child<Outcome>) -> bool {
    let path = format!("/proc/{}/stat", child.id());
    let deadline = Instant::now() + SOON;
    loop {
        let stat = fs::read_to_string(&path).unwrap_or_default();
        let state = stat.rsplit_once(") ").map(|(_, rest)| &rest[..1]);
        match state {
            Some("T") => return true,
            None | Some("Z" | "X") => return false,
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
        let mut victim = scene.start(act, point, Signal::SIGSTOP);
        let is_stopped = is_stopped_in_time(&mut victim);
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
            victim.signal(libc::SIGCONT).unwrap();
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
            // If it has sent a message, that one is enough.
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
            // If it has received a message, that one is enough.
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

/// One who sleeps, and was woken in vain, and has not looked yet.
fn stop_asleep(scene: &Scene, act: Act, is_asleep: impl Fn() -> bool) -> Child<Outcome> {
    let mut child = scene.start(act, 0, Signal::SIGKILL);
    until(is_asleep);
    child.signal(libc::SIGSTOP).unwrap();
    assert!(is_stopped_in_time(&mut child));
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
            asleep.signal(libc::SIGCONT).unwrap();
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
        asleep.signal(libc::SIGCONT).unwrap();
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
            // One who sleeps, or who looks whenever there seems to be something.
            let receives = thread::spawn(move || {
                while !watches || wait::readable(receiver.as_fd(), None).unwrap() {
                    let received = if watches {
                        receiver.try_recv()
                    } else {
                        receiver.recv().map_err(Into::into)
                    };
                    match received {
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
            receives.join().unwrap();
            outcome.is_some()
        });
    }
}
