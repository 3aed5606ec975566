//! Queues whose users are killed at any moment: those who are left get on.

#![allow(missing_docs, reason = "a test")]
#![allow(
    clippy::needless_pass_by_value,
    reason = "handles are given away: what matters is who has them"
)]

use procession::{
    Builder, Child, Fd, StartMethod,
    channel::{Receiver, Sender, TryRecvError, queue},
    process,
};
use procession_tests::{alone, child_ids, descriptors, within};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::File,
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

/// How long those who are left may take.
const SOON: Duration = Duration::from_secs(1);

#[derive(Debug, Serialize, Deserialize)]
struct Message {
    who: u32,
    number: u64,
    body: Vec<u8>,
    file: Option<Fd<File>>,
}

impl Message {
    /// Of any length, sometimes one that has to go through a memory of its own, sometimes with a descriptor.
    fn new(who: u32, number: u64) -> Self {
        let length = match number % 50 {
            49 => 100_000,
            short => usize::try_from(short).unwrap() * 40,
        };
        let file = number.is_multiple_of(7);
        Self {
            who,
            number,
            body: vec![number.to_le_bytes()[0]; length],
            file: file.then(|| Fd(File::open("/dev/null").unwrap())),
        }
    }

    fn check(&self) {
        let whole = Self::new(self.who, self.number);
        assert!(self.body == whole.body, "half a message arrived");
        assert_eq!(self.file.is_some(), whole.file.is_some());
    }
}

/// Sends and receives until it is killed.
#[process]
fn talk(to: Sender<Message>, from: Receiver<Message>, who: u32) {
    for number in 0.. {
        let _ = to.try_send(Message::new(who, number));
        if number % 3 > 0
            && let Ok(message) = from.try_recv()
        {
            message.check();
        }
    }
}

/// Waits in both directions until it is killed.
#[process]
fn wait(to: Sender<Message>, from: Receiver<Message>, who: u32) {
    for number in 0.. {
        to.send(Message::new(who, number)).unwrap();
        from.recv().unwrap().check();
        from.recv().unwrap().check();
    }
}

fn torture(rounds: u64, victim: impl Fn(&Sender<Message>, &Receiver<Message>, u32) -> Child<()>) {
    let before = (descriptors(), child_ids());
    let (sender, receiver) = queue(8).unwrap();
    let random = RandomState::new();
    let (mut number, mut last) = (0, BTreeMap::new());
    let mut take = |message: Message| {
        message.check();
        // What one sender sends comes in its order.
        let last = last.insert(message.who, message.number);
        assert!(last.is_none_or(|last| last < message.number));
    };
    for round in 0..rounds {
        let victims = [0, 1].map(|which| {
            let who = u32::try_from(1 + 2 * round + which).unwrap();
            victim(&sender, &receiver, who)
        });
        let end = Instant::now() + Duration::from_micros(random.hash_one(round) % 1500);
        while Instant::now() < end {
            number += 1;
            let _ = sender.try_send(Message::new(0, number));
            if let Ok(message) = receiver.try_recv() {
                take(message);
            }
        }
        for victim in &victims {
            victim.kill().unwrap();
        }
        for victim in victims {
            victim.join().unwrap_err();
        }
        // Nobody else is left: what is there can be had, and then there is room.
        let begun = Instant::now();
        loop {
            match receiver.try_recv() {
                Ok(message) => take(message),
                Err(TryRecvError::Empty) => break,
                Err(error) => panic!("{error}"),
            }
        }
        for _ in 0..8 {
            number += 1;
            sender.send_timeout(Message::new(0, number), SOON).unwrap();
        }
        for _ in 0..8 {
            take(receiver.recv_timeout(SOON).unwrap());
        }
        assert!(receiver.is_empty());
        assert!(
            begun.elapsed() < SOON,
            "they got on after {:?}",
            begun.elapsed()
        );
    }
    drop((sender, receiver));
    assert_eq!((descriptors(), child_ids()), before);
}

fn builder() -> Builder {
    Builder::new().start_method(StartMethod::ForkServer)
}

#[test]
fn killed_users_block_nobody() {
    let _alone = alone();
    within(Duration::from_secs(300), || {
        torture(600, |sender, receiver, who| {
            builder()
                .spawn(talk::new(sender.clone(), receiver.clone(), who))
                .unwrap()
        });
    });
}

#[test]
fn killed_waiters_block_nobody() {
    let _alone = alone();
    within(Duration::from_secs(300), || {
        torture(600, |sender, receiver, who| {
            builder()
                .spawn(wait::new(sender.clone(), receiver.clone(), who))
                .unwrap()
        });
    });
}

/// Takes messages, each of which says which it is, and tells of each.
#[process]
fn take(from: Receiver<u64>, told: Sender<u64>) {
    loop {
        told.send(from.recv().unwrap()).unwrap();
    }
}

#[test]
fn killed_receiver_takes_along_one_message_at_most() {
    let _alone = alone();
    within(Duration::from_secs(300), || {
        let random = RandomState::new();
        for round in 0..300_u64 {
            let (sender, receiver) = queue(256).unwrap();
            let (told, tells) = queue(256).unwrap();
            for number in 0..256 {
                sender.send(number).unwrap();
            }
            let child = builder().spawn(take::new(receiver.clone(), told)).unwrap();
            let end = Instant::now() + Duration::from_micros(random.hash_one(round) % 100);
            while Instant::now() < end {
                std::hint::spin_loop();
            }
            child.kill().unwrap();
            child.join().unwrap_err();
            let left: Vec<u64> = receiver.try_iter().map(Result::unwrap).collect();
            let taken: Vec<u64> = tells.iter().map(Result::unwrap).collect();
            // One may have been taken and not been told of.
            let known = left.len() + taken.len();
            assert!((255..=256).contains(&known), "{known} are known");
            let all: Vec<u64> = taken.iter().chain(&left).copied().collect();
            assert!(all.is_sorted_by(|one, other| one < other));
        }
    });
}
