//! Queues whose users are killed at any moment: those who are left get on.

#![allow(
    clippy::needless_pass_by_value,
    reason = "handles are given away: what matters is who has them"
)]

use crate::{in_turn, moment, rounds, torture_time};
use procession::{
    Child, Fd, Process, StartMethod,
    channel::{Receiver, Sender, TryRecvError, queue, wait as wait_for},
    process,
    shm::SharedSlice,
    sync::Event,
};
use procession_tests::spawn;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::File,
    hash::{BuildHasher, RandomState},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
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
    /// Of any length, sometimes one that has to go through a memory of its own, sometimes with a
    /// descriptor.
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

fn torture(victim: impl Fn(&Sender<Message>, &Receiver<Message>, u32) -> Child<()>) {
    let (sender, receiver) = queue(8).unwrap();
    let (mut number, mut last) = (0, BTreeMap::new());
    let mut take = |message: Message| {
        message.check();
        // What one sender sends comes in its order.
        let last = last.insert(message.who, message.number);
        assert!(last.is_none_or(|last| last < message.number));
    };
    for round in rounds(600) {
        let victims = [0, 1].map(|which| victim(&sender, &receiver, 1 + 2 * round + which));
        let end = Instant::now() + moment(1500);
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
}

fn start<P: Process>(process: P) -> Child<P::Output> {
    spawn(StartMethod::ForkServer, process)
}

#[test]
fn killed_users_block_nobody() {
    in_turn(|| {
        torture(|sender, receiver, who| start(talk::new(sender.clone(), receiver.clone(), who)));
    });
}

#[test]
fn killed_waiters_block_nobody() {
    in_turn(|| {
        torture(|sender, receiver, who| start(wait::new(sender.clone(), receiver.clone(), who)));
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
    in_turn(|| {
        for _ in rounds(300) {
            let (sender, receiver) = queue(256).unwrap();
            let (told, tells) = queue(256).unwrap();
            for number in 0..256 {
                sender.send(number).unwrap();
            }
            let child = start(take::new(receiver.clone(), told));
            let end = Instant::now() + moment(100);
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

/// Of a length that differs, 5 to 20 kB, so that some go through a memory of their own; some with a
/// descriptor. Each says which it is, and its bytes follow from that.
#[derive(Debug, Serialize, Deserialize)]
struct Job {
    who: usize,
    number: u64,
    body: Vec<u8>,
    file: Option<Fd<File>>,
}

/// The bytes of a message: a part of a pattern that does not repeat.
fn body_of(who: usize, number: u64) -> &'static [u8] {
    static PATTERN: OnceLock<Vec<u8>> = OnceLock::new();
    let mut state = 1_u64;
    let pattern = PATTERN.get_or_init(|| {
        let next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state.to_be_bytes()[0]
        };
        std::iter::repeat_with(next).take(1 << 16).collect()
    });
    let mixed = (number ^ (who as u64) << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let [start, length] = [mixed >> 20, mixed >> 40].map(|bits| usize::try_from(bits).unwrap());
    &pattern[start % 40_000..][..5_000 + length % 15_000]
}

impl Job {
    fn new(who: usize, number: u64) -> Self {
        let file = number.is_multiple_of(16);
        Self {
            who,
            number,
            body: body_of(who, number).to_vec(),
            file: file.then(|| Fd(File::open("/dev/null").unwrap())),
        }
    }
}

/// What all processes know: how many messages each sender has sent, and which were received last.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Books {
    sent: SharedSlice<AtomicU64>,
    received: SharedSlice<AtomicU64>,
    seen: SharedSlice<AtomicU64>,
}

/// How many senders there can be, one after the other, before a place in the books is used again.
const PLACES: usize = 64;
/// How many messages of one sender can be on their way at once.
const WINDOW: usize = 1 << 12;

impl Books {
    fn new() -> Self {
        Self {
            sent: SharedSlice::new(1).unwrap(),
            received: SharedSlice::new(1).unwrap(),
            seen: SharedSlice::new(PLACES * WINDOW).unwrap(),
        }
    }

    fn sent(&self) {
        self.sent[0].fetch_add(1, Relaxed);
    }

    fn received(&self, job: &Job) {
        self.received[0].fetch_add(1, Relaxed);
        assert!(
            job.body == body_of(job.who, job.number),
            "a mixture arrived"
        );
        assert_eq!(job.file.is_some(), job.number.is_multiple_of(16));
        let place = job.who % PLACES * WINDOW + usize::try_from(job.number).unwrap() % WINDOW;
        let this = (job.who as u64) << 40 | (job.number + 1);
        assert_ne!(self.seen[place].swap(this, Relaxed), this, "it came twice");
    }
}

#[process]
fn send_jobs(jobs: Sender<Job>, books: Books, who: usize, over: Event) {
    for number in 0.. {
        if over.is_set() {
            return;
        }
        jobs.send(Job::new(who, number)).unwrap();
        books.sent();
    }
}

/// How long those who are not killed are busy with a message, so that the others get most of them.
const BUSY: Duration = Duration::from_micros(300);

/// Receives as a user would, until all senders are gone; what is wrong is a panic.
#[process]
fn do_jobs(jobs: Receiver<Job>, books: Books, busy: Duration) -> u64 {
    let (mut count, mut last) = (0, BTreeMap::new());
    for job in jobs {
        let job = job.unwrap();
        books.received(&job);
        let last = last.insert(job.who, job.number);
        assert!(last.is_none_or(|last| last < job.number), "out of order");
        count += 1;
        thread::sleep(busy);
    }
    count
}

/// The same, by the descriptor.
#[process]
fn watch_jobs(jobs: Receiver<Job>, books: Books, busy: Duration) -> u64 {
    let (mut count, mut in_vain) = (0, 0_u64);
    loop {
        wait_for(&[&jobs], None).unwrap();
        match jobs.try_recv() {
            Ok(job) => {
                books.received(&job);
                count += 1;
                thread::sleep(busy);
            }
            Err(TryRecvError::Empty) => in_vain += 1,
            Err(TryRecvError::Disconnected) => return count.max(in_vain.min(1)),
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Receivers, and now and then a sender, are killed one after the other, while others go on.
#[test]
fn nobody_is_told_anything_wrong_when_others_are_killed() {
    in_turn(|| {
        let time = torture_time().max(Duration::from_secs(8));
        let (books, over) = (Books::new(), Event::new().unwrap());
        let (sender, receiver) = queue(64).unwrap();
        let mut who = 0;
        let mut new_sender = || {
            who += 1;
            let process = send_jobs::new(sender.clone(), books.clone(), who, over.clone());
            start(process)
        };
        let new_receiver = |watches: bool, busy| {
            let (jobs, books) = (receiver.clone(), books.clone());
            if watches {
                start(watch_jobs::new(jobs, books, busy))
            } else {
                start(do_jobs::new(jobs, books, busy))
            }
        };
        let mut senders: Vec<_> = (0..3).map(|_| new_sender()).collect();
        let witnesses = [new_receiver(false, BUSY), new_receiver(true, BUSY)];
        let mut victim = new_receiver(false, Duration::ZERO);
        let (begun, mut kills) = (Instant::now(), 0);
        while begun.elapsed() < time {
            // Any moment will do, and each another.
            let random = RandomState::new().hash_one(kills);
            thread::sleep(Duration::from_micros(random % 1500));
            kills += 1;
            // Whoever ends otherwise was told something wrong.
            if random.is_multiple_of(16) {
                let sender = senders.remove(0);
                sender.kill().unwrap();
                sender.join().unwrap_err();
                senders.push(new_sender());
            } else {
                victim.kill().unwrap();
                let error = victim.join().unwrap_err();
                assert!(error.panic().is_none(), "{error:?}");
                victim = new_receiver(random.is_multiple_of(3), Duration::ZERO);
            }
            let all = senders.iter().map(Child::is_alive);
            assert!(
                all.chain(witnesses.iter().map(Child::is_alive))
                    .all(|alive| alive)
            );
        }
        over.set();
        for sender in senders {
            sender.join().unwrap();
        }
        drop((sender, receiver));
        let mut count = 0;
        for receiver in witnesses.into_iter().chain([victim]) {
            count += receiver.join().unwrap();
        }
        assert!(count > 0);
        let [sent, arrived] = [&books.sent, &books.received].map(|count| count[0].load(Relaxed));
        eprintln!("{kills} kills, {sent} sent, {arrived} received");
        // A killed receiver has taken along one at most; a killed sender may have sent one of which
        // it did not tell.
        assert!(sent <= arrived + kills, "{sent} sent, {arrived} received");
        assert!(arrived <= sent + kills, "{sent} sent, {arrived} received");
    });
}
