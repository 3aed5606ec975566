//! Queues: what goes in at one end comes out at the other, once and in order, whoever lives or
//! dies.

#![allow(
    clippy::needless_pass_by_value,
    reason = "handles are given away: what matters is who has them"
)]

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use procession::{
    ErrorKind, Fd, StartMethod,
    channel::{
        Receiver, RecvError, RecvTimeoutError, SendError, SendTimeoutError, Sender, TryRecvError,
        TrySendError, queue,
    },
    join_all, process,
};
use procession_tests::{
    DEADLINE, alone, alone_under_each_method, alone_within, child_ids, descriptors, is_readable,
    spawn, under_each_method, within,
};
use serde::{Deserialize, Deserializer, Serialize};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, PipeReader, PipeWriter, Read, Write},
    os::fd::AsFd,
    thread,
    time::{Duration, Instant},
};

const COUNT: u32 = 2000;

/// Who sent it, and which of its messages it is.
type Numbered = (u32, u32);

#[process]
fn produce(to: Sender<Numbered>, who: u32, count: u32) {
    for number in 0..count {
        to.send((who, number)).unwrap();
    }
}

#[process]
fn consume(from: Receiver<Numbered>) -> Vec<Numbered> {
    from.into_iter().collect::<Result<_, _>>().unwrap()
}

#[test]
fn every_message_arrives_once_and_in_the_order_of_its_sender() {
    alone_under_each_method(|method| {
        let (sender, receiver) = queue(16).unwrap();
        let consumers: Vec<_> = (0..3)
            .map(|_| spawn(method, consume::new(receiver.clone())))
            .collect();
        drop(receiver);
        let producers: Vec<_> = (0..3)
            .map(|who| spawn(method, produce::new(sender.clone(), who, COUNT)))
            .collect();
        drop(sender);
        for producer in producers {
            producer.join().unwrap();
        }
        if method == StartMethod::Fork {
            // Each copy has the ends that its parent had, its own among them: it would wait for
            // itself.
            for consumer in consumers {
                consumer.kill().unwrap();
            }
            return;
        }
        let mut counts = BTreeMap::new();
        for received in join_all(consumers) {
            let mut last = BTreeMap::new();
            for (who, number) in received.unwrap() {
                assert!(last.insert(who, number).is_none_or(|last| last < number));
                *counts.entry(who).or_insert(0) += 1;
            }
        }
        assert_eq!(counts, (0..3).map(|who| (who, COUNT)).collect());
    });
}

#[process]
fn echo(from: Receiver<String>, to: Sender<String>) {
    while let Ok(text) = from.recv() {
        if text == "over" {
            return;
        }
        to.send(text).unwrap();
    }
}

#[test]
fn messages_go_to_and_fro() {
    alone_under_each_method(|method| {
        let (to, there) = queue(4).unwrap();
        let (back, from) = queue(4).unwrap();
        let child = spawn(method, echo::new(there, back));
        for length in [0, 1, 100, 10_000, 100_000, 1_000_000] {
            let text = "x".repeat(length);
            to.send(text.clone()).unwrap();
            assert!(from.recv().unwrap() == text);
        }
        to.send("over".to_owned()).unwrap();
        child.join().unwrap();
    });
}

#[test]
fn full_and_empty_are_told_and_waited_for() {
    alone(|| {
        let (sender, receiver) = queue(2).unwrap();
        assert_eq!((sender.capacity(), receiver.capacity()), (2, 2));
        assert!(receiver.is_empty() && sender.is_empty());
        assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
        let moment = Duration::from_millis(10);
        let begun = Instant::now();
        assert!(matches!(
            receiver.recv_timeout(moment),
            Err(RecvTimeoutError::Timeout)
        ));
        assert!(begun.elapsed() >= moment);
        sender.try_send(1).unwrap();
        sender.try_send(2).unwrap();
        assert!(matches!(sender.try_send(3), Err(TrySendError::Full(3))));
        assert!(matches!(
            sender.send_timeout(4, moment),
            Err(SendTimeoutError::Timeout(4))
        ));
        assert_eq!(receiver.len(), 2);
        within(DEADLINE, || {
            thread::scope(|scope| {
                scope.spawn(|| sender.send(5).unwrap());
                assert_eq!(receiver.recv().unwrap(), 1);
                assert_eq!(receiver.recv().unwrap(), 2);
                assert_eq!(receiver.recv().unwrap(), 5);
            });
        });
        for capacity in [0, usize::MAX] {
            assert_eq!(
                queue::<u8>(capacity).unwrap_err().kind(),
                ErrorKind::Setting
            );
        }
    });
}

#[process]
fn hold<T>(handle: T, mut until: PipeReader, ready: Sender<()>)
where
    T: procession::Transfer,
{
    ready.send(()).unwrap();
    let _ = until.read(&mut [0]);
    drop(handle);
}

#[test]
fn end_of_the_last_process_at_the_other_side_is_told() {
    alone_within(DEADLINE, || {
        for method in [StartMethod::ForkServer, StartMethod::Spawn] {
            for kill in [false, true] {
                // Receivers are told.
                let (sender, receiver) = queue::<u32>(8).unwrap();
                let (ready, is_ready) = queue(1).unwrap();
                let (until, mut go) = io::pipe().unwrap();
                sender.send(1).unwrap();
                let child = spawn(method, hold::<Sender<u32>>::new(sender, until, ready));
                is_ready.recv().unwrap();
                assert_eq!(receiver.recv().unwrap(), 1);
                assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
                thread::scope(|scope| {
                    let waiting = scope.spawn(|| receiver.recv());
                    if kill {
                        child.kill().unwrap();
                    } else {
                        go.write_all(&[0]).unwrap();
                    }
                    assert!(matches!(
                        waiting.join().unwrap(),
                        Err(RecvError::Disconnected)
                    ));
                });
                assert!(matches!(
                    receiver.try_recv(),
                    Err(TryRecvError::Disconnected)
                ));
                assert_eq!(child.join().is_err(), kill);

                // Senders are told, also one that waits for room.
                let (sender, receiver) = queue::<u32>(1).unwrap();
                let (ready, is_ready) = queue(1).unwrap();
                let (until, mut go) = io::pipe().unwrap();
                let child = spawn(method, hold::<Receiver<u32>>::new(receiver, until, ready));
                is_ready.recv().unwrap();
                sender.send(1).unwrap();
                thread::scope(|scope| {
                    let waiting = scope.spawn(|| sender.send(2));
                    if kill {
                        child.kill().unwrap();
                    } else {
                        go.write_all(&[0]).unwrap();
                    }
                    assert!(matches!(
                        waiting.join().unwrap(),
                        Err(SendError::Disconnected(2))
                    ));
                });
                assert!(matches!(
                    sender.try_send(3),
                    Err(TrySendError::Disconnected(3))
                ));
                assert_eq!(child.join().is_err(), kill);
            }
        }
    });
}

#[test]
fn what_was_sent_before_the_end_is_received() {
    alone(|| {
        let (sender, receiver) = queue(8).unwrap();
        for number in 0..8 {
            sender.send(number).unwrap();
        }
        drop(sender);
        assert_eq!(
            receiver.iter().collect::<Result<Vec<i32>, _>>().unwrap(),
            [0, 1, 2, 3, 4, 5, 6, 7]
        );
    });
}

#[process]
fn write_to(pipes: Receiver<(String, Fd<PipeWriter>)>) {
    for message in pipes.into_iter().take(100) {
        let (text, mut pipe) = message.unwrap();
        pipe.write_all(text.as_bytes()).unwrap();
    }
}

#[test]
fn descriptors_travel_in_messages() {
    alone(|| {
        let before = (descriptors(), child_ids());
        under_each_method(|method| {
            let (sender, receiver) = queue(4).unwrap();
            let child = spawn(method, write_to::new(receiver));
            for number in 0..100 {
                let (mut reader, writer) = io::pipe().unwrap();
                sender.send((format!("text {number}"), Fd(writer))).unwrap();
                let mut text = vec![0; format!("text {number}").len()];
                reader.read_exact(&mut text).unwrap();
                assert_eq!(text, format!("text {number}").as_bytes());
            }
            child.join().unwrap();
            // At the top of a message as they are.
            let (sender, receiver) = queue(1).unwrap();
            sender.send(Fd(File::open("/dev/null").unwrap())).unwrap();
            receiver.recv().unwrap();
        });
        assert_eq!((descriptors(), child_ids()), before);
    });
}

#[test]
fn handles_travel_in_messages() {
    alone_under_each_method(|method| {
        #[process]
        fn answer(questions: Receiver<(u32, Sender<u32>)>) {
            let (question, answers) = questions.recv().unwrap();
            answers.send(question + 1).unwrap();
        }
        let (questions, there) = queue(1).unwrap();
        let child = spawn(method, answer::new(there));
        let (answers, from) = queue(1).unwrap();
        questions.send((41, answers)).unwrap();
        assert_eq!(from.recv().unwrap(), 42);
        child.join().unwrap();
    });
}

#[test]
fn sender_without_receivers_is_told_at_once() {
    alone(|| {
        let (sender, receiver) = queue(4).unwrap();
        drop(receiver);
        assert!(matches!(sender.send(1), Err(SendError::Disconnected(1))));
    });
}

#[test]
fn dropped_queues_leave_nothing() {
    alone(|| {
        let before = descriptors();
        for _ in 0..100 {
            let (sender, receiver) = queue::<Vec<u8>>(4).unwrap();
            let (other_sender, other_receiver) = (sender.clone(), receiver.clone());
            sender.send(vec![0; 1_000_000]).unwrap();
            other_sender.send(vec![1; 10]).unwrap();
            assert_eq!(other_receiver.recv().unwrap().len(), 1_000_000);
            let _ = other_receiver.as_fd();
        }
        assert_eq!(descriptors(), before);
    });
}

/// Encodes as a number, and is decoded only if it is even.
#[derive(Debug, Serialize)]
struct Even(u32);

impl<'de> Deserialize<'de> for Even {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u32::deserialize(deserializer)?;
        if number % 2 == 0 {
            Ok(Self(number))
        } else {
            Err(serde::de::Error::custom("it is odd"))
        }
    }
}

#[test]
fn message_that_cannot_be_decoded_fails_alone() {
    alone(|| {
        let (sender, receiver) = queue(4).unwrap();
        for number in [1, 2] {
            sender.send(Even(number)).unwrap();
        }
        let Err(RecvError::Failed(error)) = receiver.recv() else {
            panic!("it is odd");
        };
        assert_eq!(error.kind(), ErrorKind::Decode);
        assert_eq!(receiver.recv().unwrap().0, 2);
    });
}

#[derive(Debug, Deserialize)]
struct Unspeakable;

impl Serialize for Unspeakable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no words"))
    }
}

#[test]
fn message_that_cannot_be_encoded_comes_back() {
    alone(|| {
        let (sender, receiver) = queue(4).unwrap();
        let Err(SendError::Failed(Unspeakable, error)) = sender.send(Unspeakable) else {
            panic!("it cannot be encoded");
        };
        assert_eq!(error.kind(), ErrorKind::Encode);
        assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
    });
}

#[test]
fn readiness_tells_of_messages_and_of_the_end() {
    alone(|| {
        let (sender, receiver) = queue(4).unwrap();
        assert!(!is_readable(&receiver));
        for _ in 0..3 {
            sender.send(1).unwrap();
            sender.send(2).unwrap();
            assert!(is_readable(&receiver));
            assert_eq!(receiver.recv().unwrap(), 1);
            assert!(is_readable(&receiver));
            assert_eq!(receiver.recv().unwrap(), 2);
            assert!(!is_readable(&receiver));
            assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
            assert!(!is_readable(&receiver));
        }
        // A message that was there before anybody looked.
        let (late_sender, late) = queue(4).unwrap();
        late_sender.send(3).unwrap();
        assert!(is_readable(&late));
        drop(sender);
        assert!(is_readable(&receiver));
    });
}

#[test]
fn queue_that_is_not_drained_keeps_nobody() {
    alone(|| {
        // More than a pipe holds, and never received: the senders end all the same.
        under_each_method(|method| {
            #[process]
            fn fill(to: Sender<Vec<u8>>) -> usize {
                let mut sent = 0;
                while to.try_send(vec![7; 20_000]).is_ok() {
                    sent += 1;
                }
                sent
            }
            let (sender, receiver) = queue(64).unwrap();
            assert!(spawn(method, fill::new(sender)).join().unwrap() > 0);
            assert_eq!(receiver.recv().unwrap().len(), 20_000);
        });
    });
}

#[process]
fn starved(from: Receiver<Fd<File>>, ready: Sender<()>) -> bool {
    // As many as the standard ones, which are open.
    setrlimit(Resource::RLIMIT_NOFILE, 3, 3).unwrap();
    ready.send(()).unwrap();
    matches!(from.recv(), Err(RecvError::Failed(error)) if error.kind() == ErrorKind::TooManyFiles)
}

#[test]
fn full_table_of_descriptors_is_an_error_and_no_more() {
    alone_within(DEADLINE, || {
        assert!(getrlimit(Resource::RLIMIT_NOFILE).unwrap().0 > 0);
        let (sender, receiver) = queue(1).unwrap();
        let (ready, is_ready) = queue(1).unwrap();
        let child = spawn(StartMethod::Spawn, starved::new(receiver, ready));
        is_ready.recv().unwrap();
        sender.send(Fd(File::open("/dev/null").unwrap())).unwrap();
        assert!(child.join().unwrap());
    });
}

#[process]
fn count_files(from: Receiver<(Vec<Fd<File>>, Vec<u8>)>) -> Vec<usize> {
    let received = from.iter().map(Result::unwrap);
    let look = |(files, bytes): (Vec<Fd<File>>, Vec<u8>)| {
        assert!(files.iter().all(|file| file.metadata().is_ok()));
        assert!(bytes.is_empty() || bytes == vec![7; 1_000_000]);
        files.len()
    };
    received.map(look).collect()
}

#[test]
fn message_has_any_number_of_descriptors() {
    alone(|| {
        let before = (descriptors(), child_ids());
        let counts = [252, 253, 254, 300, 506, 507, 2_000];
        within(DEADLINE, || {
            for method in [StartMethod::ForkServer, StartMethod::Spawn] {
                let (sender, receiver) = queue(4).unwrap();
                let child = spawn(method, count_files::new(receiver));
                let null = File::open("/dev/null").unwrap();
                let mut sent = Vec::new();
                for count in counts {
                    for bytes in [Vec::new(), vec![7; 1_000_000]] {
                        let files = (0..count).map(|_| Fd(null.try_clone().unwrap()));
                        sender.send((files.collect::<Vec<_>>(), bytes)).unwrap();
                        sent.push(count);
                    }
                }
                drop(sender);
                assert_eq!(child.join().unwrap(), sent);
            }
            // The ends of queues, with four descriptors each.
            let (sender, receiver) = queue(1).unwrap();
            let ends: Vec<_> = (0..100).map(|_| queue::<u8>(1).unwrap()).collect();
            sender.send(ends).unwrap();
            let ends = receiver.recv().unwrap();
            assert_eq!(ends.len(), 100);
            ends[99].0.send(7).unwrap();
            assert_eq!(ends[99].1.recv().unwrap(), 7);
        });
        assert_eq!((descriptors(), child_ids()), before);
    });
}

/// Takes every descriptor that this process may have.
fn use_up_descriptors() -> Vec<File> {
    setrlimit(Resource::RLIMIT_NOFILE, 64, 64).unwrap();
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

#[process]
fn look_without_descriptors(receiver: Receiver<u8>, ready: Sender<()>) -> u8 {
    let _all = use_up_descriptors();
    let ready_at = receiver.as_fd();
    ready.send(()).unwrap();
    let mut polled = [nix::poll::PollFd::new(
        ready_at,
        nix::poll::PollFlags::POLLIN,
    )];
    nix::poll::poll(&mut polled, nix::poll::PollTimeout::NONE).unwrap();
    // Neither end needs another descriptor to work.
    receiver.try_recv().unwrap()
}

#[process]
fn fail_without_descriptors(message: Vec<u8>) {
    let _all = use_up_descriptors();
    let error = queue::<u8>(1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooManyFiles);
    assert!(format!("{error:?}").contains("24"), "{error:?}");
    drop(message);
}

#[process]
fn send_without_descriptors(sender: Sender<Vec<u8>>) {
    let _all = use_up_descriptors();
    sender.send(vec![1; 10]).unwrap();
    // This one would go through a memory of its own.
    let Err(SendError::Failed(message, error)) = sender.send(vec![1; 1_000_000]) else {
        panic!("it takes a descriptor");
    };
    assert_eq!(message.len(), 1_000_000);
    assert_eq!(error.kind(), ErrorKind::TooManyFiles);
    assert_eq!(error.raw_os_error(), Some(nix::libc::EMFILE));
    assert!(format!("{error:?}").contains("24"), "{error:?}");
    sender.send(vec![2; 10]).unwrap();
}

#[test]
fn without_descriptors_there_are_errors_and_no_panics() {
    alone_within(DEADLINE, || {
        let method = StartMethod::ForkServer;
        let (sender, receiver) = queue(1).unwrap();
        let (ready, is_ready) = queue(1).unwrap();
        let child = spawn(method, look_without_descriptors::new(receiver, ready));
        is_ready.recv().unwrap();
        sender.send(7).unwrap();
        assert_eq!(child.join().unwrap(), 7);
        spawn(method, fail_without_descriptors::new(Vec::new()))
            .join()
            .unwrap();
        let (sender, receiver) = queue(4).unwrap();
        spawn(method, send_without_descriptors::new(sender))
            .join()
            .unwrap();
        let sent: Vec<_> = receiver.iter().map(Result::unwrap).collect();
        assert_eq!(sent, [[1; 10], [2; 10]]);
    });
}

#[process]
fn every_second_is_odd(numbers: Receiver<Even>) -> (u32, u32) {
    let (mut good, mut bad) = (0, 0);
    for number in numbers {
        match number {
            Ok(Even(_)) => good += 1,
            Err(error) => {
                assert!(matches!(error, RecvError::Failed(_)), "{error:?}");
                bad += 1;
            }
        }
    }
    (good, bad)
}

#[test]
fn iterators_end_only_when_all_senders_are_gone() {
    alone_within(DEADLINE, || {
        let (sender, receiver) = queue(16).unwrap();
        let child = spawn(StartMethod::ForkServer, every_second_is_odd::new(receiver));
        for number in 0..100 {
            sender.send(Even(number)).unwrap();
        }
        drop(sender);
        assert_eq!(child.join().unwrap(), (50, 50));
        let (sender, receiver) = queue(16).unwrap();
        for number in 0..6 {
            sender.send(Even(number)).unwrap();
        }
        let is_good = |item: Result<Even, RecvError>| item.is_ok();
        let taken: Vec<_> = receiver.iter().take(3).map(is_good).collect();
        assert_eq!(taken, [true, false, true]);
        let taken: Vec<_> = receiver.try_iter().map(is_good).collect();
        assert_eq!(taken, [false, true, false]);
    });
}
