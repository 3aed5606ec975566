//! Where one message in a pipe ends and the next begins, byte by byte.

use crate::pipe::{as_sent, bytes_as_sent, socket_of};
use procession::{
    ErrorKind,
    channel::{Connection, RecvError, RecvTimeoutError, SendError, TryRecvError, one_way, pipe},
    process,
};
use procession_tests::{DEADLINE, alone, alone_within, descriptors, is_readable};
use std::{convert::Infallible, io::Write, time::Duration};

#[test]
fn half_a_message_is_never_eaten() {
    alone_within(DEADLINE, || {
        for whole in [
            as_sent("text".to_owned()),
            as_sent("t".repeat(70_000)),
            as_sent("t".repeat(60_000)),
        ] {
            let (ours, receiver) = one_way::<String>().unwrap();
            let mut ours = socket_of(ours);
            let step = whole.len().div_ceil(97);
            for _ in 0..3 {
                let mut pieces = whole.chunks(step).peekable();
                while let Some(piece) = pieces.next() {
                    ours.write_all(piece).unwrap();
                    let is_last = pieces.peek().is_none();
                    assert_eq!(receiver.poll(Some(Duration::ZERO)).unwrap(), is_last);
                    assert_eq!(is_readable(&receiver), is_last);
                    if !is_last {
                        let nothing = receiver.recv_timeout(Duration::ZERO);
                        assert!(matches!(nothing, Err(RecvTimeoutError::Timeout)));
                        assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
                    }
                }
                assert!(receiver.poll(None).unwrap());
                assert!(receiver.recv().unwrap().starts_with('t'));
                assert!(!is_readable(&receiver));
            }
        }
    });
}

#[test]
fn what_follows_a_message_stays_in_the_socket() {
    alone(|| {
        let (ours, receiver) = one_way::<u8>().unwrap();
        for number in 0..3 {
            ours.send(number).unwrap();
        }
        for number in 0..3 {
            assert!(is_readable(&receiver));
            assert!(receiver.poll(Some(Duration::ZERO)).unwrap());
            assert_eq!(receiver.recv().unwrap(), number);
        }
        assert!(!is_readable(&receiver));
        assert!(!receiver.poll(Some(Duration::ZERO)).unwrap());
    });
}

#[test]
fn end_at_each_byte_of_a_message_is_truncation() {
    alone_within(DEADLINE, || {
        for whole in [as_sent("text".to_owned()), bytes_as_sent(b"")] {
            for cut in 0..whole.len() {
                let (ours, receiver) = one_way::<String>().unwrap();
                socket_of(ours).write_all(&whole[..cut]).unwrap();
                assert!(receiver.poll(None).unwrap());
                match receiver.recv() {
                    Err(RecvError::Disconnected) => assert_eq!(cut, 0),
                    Err(RecvError::Truncated) => assert_ne!(cut, 0),
                    other => panic!("cut at {cut}: {other:?}"),
                }
            }
        }
    });
}

#[test]
fn bytes_and_values_are_two_kinds() {
    alone_within(DEADLINE, || {
        let (left, right) = pipe::<u32, u32>().unwrap();
        let is_decoding =
            |error| matches!(error, RecvError::Failed(error) if error.kind() == ErrorKind::Decode);
        for length in [0, 1, 64 << 10, (64 << 10) + 1, 100_000] {
            let bytes = vec![9; length];
            left.send_bytes(&bytes).unwrap();
            left.send(7).unwrap();
            assert!(is_decoding(right.recv().unwrap_err()));
            assert!(is_decoding(right.recv_bytes().unwrap_err()));
            left.send(8).unwrap();
            assert!(is_decoding(right.recv_bytes_into(&mut []).unwrap_err()));

            left.send_bytes(&bytes).unwrap();
            left.send_bytes(&bytes).unwrap();
            left.send(7).unwrap();
            let mut buffer = vec![0; length + 1];
            if let Some(short) = length.checked_sub(1) {
                for _ in 0..2 {
                    let error = right.recv_bytes_into(&mut buffer[..short]).unwrap_err();
                    assert!(
                        matches!(error, RecvError::Failed(error) if error.kind() == ErrorKind::BufferTooShort)
                    );
                    assert!(is_readable(&right) && right.poll(None).unwrap());
                }
            }
            assert_eq!(right.recv_bytes_into(&mut buffer).unwrap(), length);
            assert!(buffer[..length] == bytes);
            assert!(right.recv_bytes().unwrap() == bytes);
            assert_eq!(right.recv().unwrap(), 7);
        }
    });
}

#[test]
fn message_that_cannot_be_decoded_leaves_the_next() {
    alone(|| {
        let (ours, receiver) = one_way::<u8>().unwrap();
        let mut ours = socket_of(ours);
        ours.write_all(&as_sent("no number".to_owned())).unwrap();
        ours.write_all(&as_sent(5_u8)).unwrap();
        let error = receiver.recv().unwrap_err();
        assert!(matches!(error, RecvError::Failed(error) if error.kind() == ErrorKind::Decode));
        assert_eq!(receiver.recv().unwrap(), 5);
    });
}

#[test]
fn what_is_no_message_ends_the_connection() {
    alone_within(DEADLINE, || {
        let before = descriptors();
        let header =
            |kind: u64, length: u64, fds: u64| [kind, length, fds].map(u64::to_le_bytes).concat();
        for (poll_first, bytes) in [
            // Of no bytes, of no kind, of a length that is odd, with descriptors that are not
            // there, and without a meaning.
            header(1, 0, 0),
            header(1 << 8, 1, 0),
            header(0x44, 17, 0),
            header(1, 8, 1),
            header(0x40, 8, 1),
            vec![0xff; 100],
        ]
        .iter()
        .flat_map(|bytes| [(false, bytes), (true, bytes)])
        {
            let (ours, receiver) = pipe::<u8, u8>().unwrap();
            let mut socket = socket_of(&ours);
            socket.write_all(bytes).unwrap();
            if poll_first {
                assert!(receiver.poll(None).unwrap());
            }
            let error = receiver.recv().unwrap_err();
            assert!(
                matches!(&error, RecvError::Failed(error) if error.kind() == ErrorKind::Decode),
                "{error:?}"
            );
            assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));
            assert!(receiver.poll(None).unwrap());
            // The sender is told. The other direction is as it was.
            assert!(matches!(ours.send(1), Err(SendError::Disconnected(1))));
            receiver.send(2).unwrap();
            assert_eq!(ours.recv().unwrap(), 2);
        }
        // What is announced and does not come takes nothing.
        let (ours, receiver) = one_way::<u8>().unwrap();
        socket_of(&ours).write_all(&header(1, 1 << 60, 0)).unwrap();
        assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
        drop(ours);
        assert!(matches!(receiver.recv(), Err(RecvError::Truncated)));
        drop(receiver);
        assert_eq!(descriptors(), before);
    });
}

#[process]
#[expect(clippy::needless_pass_by_value, reason = "a process owns its end")]
fn own(connection: Connection<Infallible, u32>) -> u32 {
    connection.recv().unwrap()
}

#[test]
fn end_in_the_middle_of_a_message_stays() {
    alone(|| {
        let whole = as_sent(3_u32);
        let (ours, receiver) = one_way::<u32>().unwrap();
        let mut ours = socket_of(ours);
        ours.write_all(&whole[..5]).unwrap();
        receiver.try_recv().unwrap_err();
        let (give, take) = one_way().unwrap();
        let SendError::Failed(receiver, error) = give.send(receiver).unwrap_err() else {
            panic!("nobody is gone");
        };
        assert_eq!(error.kind(), ErrorKind::Encode);
        ours.write_all(&whole[5..]).unwrap();
        assert_eq!(receiver.recv().unwrap(), 3);
        give.send(receiver).unwrap();
        ours.write_all(&whole).unwrap();
        assert_eq!(own::spawn(take.recv().unwrap()).unwrap().join().unwrap(), 3);
    });
}
