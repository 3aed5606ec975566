//! Pipes between processes, and waiting for many things at once.

#![allow(
    clippy::needless_pass_by_value,
    reason = "a process owns what it is given"
)]

use procession::{
    ErrorKind, Fd,
    channel::{
        Connection, RecvError, RecvTimeoutError, SendError, TryRecvError, one_way, pipe, wait,
    },
    process,
};
use procession_tests::{
    DEADLINE, alone, alone_under_each_method, alone_within, by, child_ids, descriptors, eventually,
    is_readable, start, state, under_each_method,
};
use serde::{Deserialize, Serialize};
use std::{
    convert::Infallible,
    fs::File,
    io::{Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    thread,
    time::{Duration, Instant},
};

const MOMENT: Duration = Duration::from_millis(30);

/// The socket that is behind an end.
pub(crate) fn socket_of(end: impl AsFd) -> UnixStream {
    end.as_fd().try_clone_to_owned().unwrap().into()
}

/// The bytes in which a value is sent.
pub(crate) fn as_sent<T: procession::Transfer>(value: T) -> Vec<u8> {
    let (sender, receiver) = one_way().unwrap();
    sender.send(value).unwrap();
    drop(sender);
    let mut bytes = Vec::new();
    socket_of(receiver).read_to_end(&mut bytes).unwrap();
    bytes
}

/// The bytes of a message of bytes.
pub(crate) fn bytes_as_sent(content: &[u8]) -> Vec<u8> {
    let (sender, receiver) = one_way::<()>().unwrap();
    sender.send_bytes(content).unwrap();
    drop(sender);
    let mut bytes = Vec::new();
    socket_of(receiver).read_to_end(&mut bytes).unwrap();
    bytes
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Request {
    Reverse(String),
    Sum(Vec<f64>),
    End,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Reply {
    Reversed(String),
    Sum(f64),
}

#[process]
fn serve(connection: Connection<Reply, Request>) -> u32 {
    let mut served = 0;
    loop {
        let reply = match connection.recv().unwrap() {
            Request::Reverse(text) => Reply::Reversed(text.chars().rev().collect()),
            Request::Sum(numbers) => Reply::Sum(numbers.iter().sum()),
            Request::End => return served,
        };
        connection.send(reply).unwrap();
        served += 1;
    }
}

#[test]
fn requests_are_answered() {
    alone_under_each_method(|method| {
        let before = (descriptors(), child_ids());
        let (ours, theirs) = pipe().unwrap();
        let child = start(method, serve::new(theirs));
        for length in [0, 1, 1000, 100_000, 3_000_000] {
            ours.send(Request::Reverse("ab".repeat(length))).unwrap();
            assert!(ours.recv().unwrap() == Reply::Reversed("ba".repeat(length)));
            ours.send(Request::Sum(vec![1.0; length])).unwrap();
            #[allow(clippy::cast_precision_loss, reason = "it is none at such a size")]
            let sum = length as f64;
            assert_eq!(ours.recv().unwrap(), Reply::Sum(sum));
        }
        ours.send(Request::End).unwrap();
        assert_eq!(child.join().unwrap(), 10);
        assert!(matches!(ours.recv(), Err(RecvError::Disconnected)));
        drop(ours);
        assert_eq!((descriptors(), child_ids()), before);
    });
}

#[test]
fn what_was_sent_before_the_end_is_received() {
    #[process]
    fn work(connection: Connection<u32, Infallible>) {
        (0..100).for_each(|number| connection.send(number).unwrap());
    }
    alone_under_each_method(|method| {
        let (sender, receiver) = one_way().unwrap();
        start(method, work::new(sender)).join().unwrap();
        let numbers: Result<Vec<_>, _> = receiver.iter().collect();
        assert!(numbers.unwrap().into_iter().eq(0..100));
        assert!(matches!(
            receiver.try_recv(),
            Err(TryRecvError::Disconnected)
        ));
        assert!(receiver.poll(None).unwrap());
    });
}

#[test]
fn death_in_the_middle_of_a_message_is_told_from_an_end() {
    #[process]
    fn work(connection: Connection<Vec<u8>, Infallible>) {
        connection.send(vec![1; 10]).unwrap();
        // More than there is room for.
        connection.send(vec![2; 64 << 20]).unwrap();
    }
    alone_under_each_method(|method| {
        let (sender, receiver) = one_way().unwrap();
        let mut child = start(method, work::new(sender));
        assert_eq!(receiver.recv().unwrap(), [1; 10]);
        // Something of the second is there.
        assert_eq!(wait(&[&receiver], Some(DEADLINE)).unwrap(), [0]);
        // It would send the rest while this process receives.
        child.signal(nix::libc::SIGSTOP).unwrap();
        eventually("it is stopped", || state(child.id()) == Some('T'));
        assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(receiver.poll(None).unwrap());
        for _ in 0..2 {
            let end = receiver.recv().map(|message| message.len());
            assert!(matches!(end, Err(RecvError::Truncated)), "{end:?}");
        }
        let mut items = receiver.iter();
        assert!(matches!(items.next(), Some(Err(RecvError::Truncated))));
        assert!(items.next().is_none());
    });
}

#[test]
fn sender_that_waits_for_room_is_told_of_the_end() {
    #[process]
    fn hold(connection: Connection<(), Vec<u8>>, go: Connection<Infallible, ()>) {
        go.recv().unwrap();
        assert!(connection.poll(Some(Duration::ZERO)).is_ok());
    }
    alone_under_each_method(|method| {
        let (ours, theirs) = pipe::<Vec<u8>, ()>().unwrap();
        let (tell, go) = one_way().unwrap();
        let child = start(method, hold::new(theirs, go));
        tell.send(()).unwrap();
        let error = ours.send(vec![3; 64 << 20]).unwrap_err();
        assert!(matches!(error, SendError::Disconnected(_)));
        assert!(error.into_inner() == vec![3; 64 << 20]);
        child.join().unwrap();
        let error = ours.send_bytes(b"x").unwrap_err();
        assert!(matches!(error, SendError::Disconnected(())));
    });
}

#[test]
fn descriptors_travel_in_messages() {
    #[process]
    fn work(connection: Connection<Vec<Fd<File>>, Vec<Fd<File>>>) {
        let files = connection.recv().unwrap();
        connection.send(files).unwrap();
    }
    alone_under_each_method(|method| {
        let before = descriptors();
        let (ours, theirs) = pipe().unwrap();
        let child = start(method, work::new(theirs));
        // More than fit beside one byte.
        let null = || Fd(File::open("/dev/null").unwrap());
        ours.send((0..300).map(|_| null()).collect()).unwrap();
        assert!(ours.poll(Some(DEADLINE)).unwrap());
        assert!(is_readable(&ours));
        assert_eq!(ours.recv().unwrap().len(), 300);
        child.join().unwrap();
        drop(ours);
        assert_eq!(descriptors(), before);
    });
}

#[test]
fn message_for_whose_descriptors_there_is_no_room_leaves_the_next() {
    #[process]
    fn work(connection: Connection<usize, Vec<Fd<File>>>) {
        for _ in 0..2 {
            let error = connection.recv().unwrap_err();
            assert!(
                matches!(&error, RecvError::Failed(error) if error.kind() == ErrorKind::TooManyFiles),
                "{error:?}"
            );
        }
        connection.send(connection.recv().unwrap().len()).unwrap();
    }
    alone_under_each_method(|method| {
        let (ours, theirs) = pipe().unwrap();
        let builder = by(method).open_files_limit(64);
        let child = builder.spawn(work::new(theirs)).unwrap();
        for count in [100, 300, 3] {
            let files = (0..count).map(|_| Fd(File::open("/dev/null").unwrap()));
            ours.send(files.collect()).unwrap();
        }
        assert_eq!(ours.recv().unwrap(), 3);
        child.join().unwrap();
    });
}

#[derive(Debug, Serialize, Deserialize)]
struct Ends {
    many: Vec<Connection<u32, Infallible>>,
    maybe: Option<Connection<Infallible, u32>>,
}

#[test]
fn ends_travel_at_any_depth() {
    /// Sends a number over each end it is given, and gives back what it was given to receive from.
    #[process]
    fn work(
        ends: Ends,
        more: Connection<Infallible, Connection<u32, Infallible>>,
    ) -> Option<Connection<Infallible, u32>> {
        let (mut many, maybe) = (ends.many, ends.maybe);
        many.push(more.recv().unwrap());
        for (number, end) in (0..).zip(many) {
            end.send(number).unwrap();
        }
        maybe
    }
    alone_under_each_method(|method| {
        let before = descriptors();
        let (many, mut receivers): (Vec<_>, Vec<_>) = (0..3).map(|_| one_way().unwrap()).unzip();
        let (sender, receiver) = one_way().unwrap();
        let (give, take) = one_way().unwrap();
        let ends = Ends {
            many,
            maybe: Some(receiver),
        };
        let child = start(method, work::new(ends, take));
        let (last, its_receiver) = one_way().unwrap();
        receivers.push(its_receiver);
        give.send(last).unwrap();
        for (number, receiver) in (0..).zip(&receivers) {
            assert_eq!(receiver.recv().unwrap(), number);
        }
        sender.send(77).unwrap();
        let receiver = child.join().unwrap().unwrap();
        assert_eq!(receiver.recv().unwrap(), 77);
        for receiver in &receivers {
            assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));
        }
        drop((sender, receiver, receivers, give));
        assert_eq!(descriptors(), before);
    });
}

#[test]
fn what_is_no_pipe_is_refused() {
    alone(|| {
        let (give, take) = one_way::<Connection<u8, u8>>().unwrap();
        // An end, without its descriptor.
        let (_left, right) = pipe::<u8, u8>().unwrap();
        let mut bytes = as_sent(right);
        bytes[16..24].fill(0);
        socket_of(give).write_all(&bytes).unwrap();
        assert!(
            matches!(take.recv(), Err(RecvError::Failed(error)) if error.kind() == ErrorKind::Decode)
        );
    });
}

#[test]
fn messages_of_many_threads_do_not_mix() {
    alone_within(DEADLINE, || {
        const EACH: usize = 200;
        let (left, right) = pipe::<Vec<u8>, Vec<u8>>().unwrap();
        let exchange = |end: &Connection<Vec<u8>, Vec<u8>>| {
            thread::scope(|scope| {
                for byte in [1, 2] {
                    scope.spawn(move || {
                        for length in 0..EACH {
                            end.send(vec![byte; length * 700]).unwrap();
                        }
                    });
                    scope.spawn(move || {
                        for _ in 0..EACH {
                            let bytes = end.recv().unwrap();
                            assert!(bytes.iter().all(|byte| *byte == bytes[0]));
                        }
                    });
                }
            });
        };
        thread::scope(|scope| {
            scope.spawn(|| exchange(&left));
            exchange(&right);
        });
        assert!(!is_readable(&left) && !is_readable(&right));
    });
}

#[test]
fn time_is_kept_while_another_thread_receives() {
    alone_within(DEADLINE, || {
        let (left, right) = pipe::<u8, ()>().unwrap();
        thread::scope(|scope| {
            let receiver = scope.spawn(|| right.recv().unwrap());
            let begun = Instant::now();
            assert!(matches!(
                right.recv_timeout(MOMENT),
                Err(RecvTimeoutError::Timeout)
            ));
            assert!(begun.elapsed() >= MOMENT);
            assert!(!right.poll(Some(MOMENT)).unwrap());
            assert!(matches!(right.try_recv(), Err(TryRecvError::Empty)));
            right.send(()).unwrap();
            left.send(1).unwrap();
            assert_eq!(receiver.join().unwrap(), 1);
        });
    });
}

#[test]
fn fast_sender_keeps_nobody_beyond_the_deadline() {
    alone_within(DEADLINE, || {
        let (left, right) = one_way::<u8>().unwrap();
        let mut socket = socket_of(left);
        // It has no end for as long as this test.
        let header = [1, 1 << 60, 0].map(u64::to_le_bytes).concat();
        thread::scope(|scope| {
            let flood = scope.spawn(move || {
                socket.write_all(&header).unwrap();
                while socket.write_all(&[0; 1 << 14]).is_ok() {}
            });
            for _ in 0..3 {
                assert!(matches!(
                    right.recv_timeout(MOMENT),
                    Err(RecvTimeoutError::Timeout)
                ));
            }
            drop(right);
            flood.join().unwrap();
        });
    });
}

#[test]
fn all_that_is_ready_is_told() {
    #[process]
    fn idle(go: Connection<Infallible, ()>) {
        go.recv().unwrap();
    }
    alone(|| {
        under_each_method(|method| {
            let (sender, receiver) = one_way::<u8>().unwrap();
            let (go, theirs) = one_way().unwrap();
            let child = start(method, idle::new(theirs));
            let (mut near, far) = UnixStream::pair().unwrap();
            let all: [&dyn AsFd; 4] = [&receiver, &child, &far, &child.handle()];
            assert_eq!(wait(&all, Some(Duration::ZERO)).unwrap(), [0_usize; 0]);
            let begun = Instant::now();
            assert_eq!(wait(&all, Some(MOMENT)).unwrap(), [0_usize; 0]);
            assert!(begun.elapsed() >= MOMENT);
            near.write_all(b"x").unwrap();
            assert_eq!(wait(&all, None).unwrap(), [2]);
            sender.send(1).unwrap();
            assert_eq!(wait(&all, None).unwrap(), [0, 2]);
            go.send(()).unwrap();
            assert_eq!(wait(&all[1..2], Some(DEADLINE)).unwrap(), [0]);
            assert_eq!(wait(&all, None).unwrap(), [0, 1, 2, 3]);
            receiver.recv().unwrap();
            assert_eq!(wait(&all, None).unwrap(), [1, 2, 3]);
            drop(sender);
            assert_eq!(wait(&all, None).unwrap(), [0, 1, 2, 3]);
            drop(near);
            child.join().unwrap();
        });
        assert_eq!(wait(&[], None).unwrap(), [0_usize; 0]);
        assert_eq!(wait(&[], Some(Duration::ZERO)).unwrap(), [0_usize; 0]);
    });
}

#[test]
fn errors_are_of_use_in_any_function() {
    fn thread_safe<E: std::error::Error + Send + Sync + 'static>(error: E) -> E {
        error
    }
    alone(|| {
        let (left, right) = pipe::<u8, u8>().unwrap();
        drop(right);
        let error = thread_safe(left.send(1).unwrap_err());
        assert_eq!(format!("{error:?}"), "Disconnected(..)");
        assert_eq!(
            procession::Error::from(error).kind(),
            ErrorKind::Disconnected
        );
        let error = std::io::Error::from(thread_safe(left.recv().unwrap_err()));
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    });
}
