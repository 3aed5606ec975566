//! A queue and the processes that use it: a victim, which does one thing and is killed or stopped
//! meanwhile, and the survivors.

use crate::sys::{
    step::{self, Signal},
    wait,
};
use procession::{
    Builder, Child, Fd, StartMethod,
    channel::{
        Receiver, RecvTimeoutError, SendTimeoutError, Sender, Task, TryRecvError, TrySendError,
        queue,
    },
    process,
};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    os::fd::AsFd,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

/// What the victim does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Act {
    Send(Kind),
    /// Receives a message that is in the queue.
    Receive,
    /// Calls `try_recv` when the queue is empty.
    Look,
    /// Sleeps until its timeout: the queue is empty.
    SleepForArrival,
    /// Sleeps until its timeout: the queue is full.
    SleepForRoom,
    /// Calls `as_fd` of the receiver.
    Watch,
}

/// The size and the descriptors of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    Short,
    Middle,
    /// Goes through a memory file of its own.
    Large,
    /// Has a descriptor.
    Carried,
    /// Has more descriptors than a packet can carry.
    Many,
}

pub(super) const KINDS: [Kind; 5] = [
    Kind::Short,
    Kind::Middle,
    Kind::Large,
    Kind::Carried,
    Kind::Many,
];

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Message {
    pub(super) who: Who,
    pub(super) number: u64,
    pub(super) kind: Kind,
    body: Vec<u8>,
    files: Vec<Fd<File>>,
    task: Option<Task>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Who {
    Victim,
    Survivor,
}

/// Bytes that do not repeat. Each message has a different part of them.
fn pattern() -> &'static [u8] {
    static PATTERN: OnceLock<Vec<u8>> = OnceLock::new();
    let mut state = 1_u64;
    PATTERN.get_or_init(|| {
        let next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state.to_be_bytes()[0]
        };
        std::iter::repeat_with(next).take(200_000).collect()
    })
}

impl Message {
    pub(super) fn new(who: Who, number: u64, kind: Kind) -> Self {
        let (length, files) = match kind {
            Kind::Short => (30, 0),
            Kind::Middle => (9_000, 0),
            Kind::Large => (100_000, 0),
            Kind::Carried => (500, 1),
            Kind::Many => (100_000, 300),
        };
        let start = (number * 131 + who as u64 * 77) % 99_991;
        let start = usize::try_from(start).unwrap();
        let null = || Fd(File::open("/dev/null").unwrap());
        Self {
            who,
            number,
            kind,
            body: pattern()[start..start + length].to_vec(),
            files: (0..files).map(|_| null()).collect(),
            task: None,
        }
    }

    pub(super) fn check(&self) {
        let whole = Self::new(self.who, self.number, self.kind);
        assert!(self.body == whole.body, "the bytes are of several messages");
        assert_eq!(self.files.len(), whole.files.len());
    }
}

/// What a process did that was not killed.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Outcome {
    /// Whether it ended before it reached the point.
    pub(super) is_over: bool,
    pub(super) sent: bool,
    pub(super) received: Option<(Who, u64)>,
}

/// More messages than the ring has bytes for, unless they are short.
const CAPACITY: usize = 64;

const VICTIMS: u64 = 1_000_000;

/// How long a process sleeps that should find nothing.
pub(super) const NAP: Duration = Duration::from_millis(3);

/// How long the survivors may wait. A longer wait counts as waiting forever, which would be the
/// fault.
pub(super) const SOON: Duration = Duration::from_secs(10);

#[process]
#[allow(
    clippy::needless_pass_by_value,
    reason = "the process is to have the ends"
)]
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
    let (mut sent, mut taken) = (false, None);
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
        Act::Receive => taken = Some(receiver.recv().unwrap()),
        Act::Look => match receiver.try_recv() {
            Ok(message) => taken = Some(message),
            Err(TryRecvError::Empty) => {}
            Err(error) => panic!("{error}"),
        },
        Act::SleepForArrival => match receiver.recv_timeout(NAP) {
            Ok(message) => taken = Some(message),
            Err(RecvTimeoutError::Timeout) => {}
            Err(error) => panic!("{error}"),
        },
        Act::Watch => drop(receiver.as_fd()),
    }
    let is_over = step::disarm();
    if let Some(message) = &taken {
        message.check();
    }
    Outcome {
        is_over,
        sent,
        received: taken.map(|message| (message.who, message.number)),
    }
}

/// A queue, and the messages that it must hold.
pub(super) struct Scene {
    pub(super) sender: Sender<Message>,
    pub(super) receiver: Receiver<Message>,
    /// The number of the next message that a survivor sends.
    pub(super) next: u64,
    /// The number of the next message of a survivor that is received.
    pub(super) due: u64,
    pub(super) watched: bool,
}

impl Scene {
    pub(super) fn new(watched: bool) -> Self {
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
        // Moves the messages across the end of the ring.
        for _ in 0..5 {
            scene.send(Kind::Middle);
        }
        for _ in 0..5 {
            scene.take_next();
        }
        scene
    }

    pub(super) fn send(&mut self, kind: Kind) {
        let message = Message::new(Who::Survivor, self.next, kind);
        self.sender.send_timeout(message, SOON).unwrap();
        self.next += 1;
    }

    /// Sends messages until the queue has no room even for a short one.
    pub(super) fn fill(&mut self) {
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

    /// Receives the next message of the survivors, which must be in the queue.
    pub(super) fn take_next(&mut self) {
        let message = self.receiver.recv_timeout(SOON).unwrap();
        message.check();
        assert_eq!((message.who, message.number), (Who::Survivor, self.due));
        self.due += 1;
    }

    /// Receives all messages. Up to `may_miss` messages of the survivors may be missing, but only
    /// the first ones. Returns how many messages of the victim there were.
    pub(super) fn drain(&mut self, mut may_miss: u64) -> u64 {
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

    pub(super) fn start(&self, act: Act, point: u64, signal: Signal) -> Child<Outcome> {
        self.start_with(act, point, signal, None)
    }

    pub(super) fn start_with(
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

    pub(super) fn is_ready(&self) -> bool {
        wait::readable(self.receiver.as_fd(), Some(Instant::now())).unwrap()
    }

    /// Checks that the survivors can go on. Returns how many messages of the victim there were.
    pub(super) fn check(&mut self, may_miss: u64) -> u64 {
        if self.watched && self.receiver.is_empty() {
            assert!(matches!(self.receiver.try_recv(), Err(TryRecvError::Empty)));
            assert!(!self.is_ready(), "nothing is there, and it stays readable");
        } else if self.watched {
            assert!(
                self.is_ready(),
                "something is there, and it is not readable"
            );
        }
        // Free room is written over, and nothing else.
        self.fill();
        let of_victim = self.drain(may_miss);
        for _ in 0..2 {
            self.fill();
            assert_eq!(self.drain(0), 0);
        }
        // The queue holds as many messages as before.
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

    /// Checks that a sleeping receiver and a sleeping sender are woken.
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

pub(super) fn until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !condition() {
        assert!(Instant::now() < deadline, "it has not come about");
        thread::yield_now();
    }
}
