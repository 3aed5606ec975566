//! Feeds any bytes to the code that reads what another process has made. cargo-fuzz does this, and
//! a bounded random run among the tests.
//!
//! That code must not panic, hang, or take memory for bytes that did not arrive.

#![allow(
    unreachable_pub,
    missing_docs,
    reason = "public for the fuzz targets alone, which are built with a flag of their own"
)]

use crate::{
    ErrorKind, Fd,
    channel::{RecvError, pipe},
    start::{MEMORY, Replies, Reply},
    sys::{
        memfd,
        segment::{Segment, Width},
        socket,
    },
    wire::{Incoming, Line, RemoteError},
};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{IoSlice, Write},
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

/// One variant for each kind of value that is read differently.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Value {
    Unit,
    Bytes(ByteBuf),
    Text(String),
    Char(char),
    Wide(u128, i128),
    Narrow(u8, i16, f32, bool),
    Small(Vec<u8>),
    Large(Vec<f64>),
    Widest(Box<[i128]>),
    Array([i16; 3]),
    Many(Vec<Value>),
    Map(BTreeMap<String, Value>),
    Maybe(Option<Box<Value>>),
    Untagged(Untagged),
    Flat(Flat),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Floats(Vec<f32>),
    Text(String),
    Named { inner: Tagged },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Numbers { numbers: Vec<u16> },
    Nothing,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    #[serde(default)]
    text: String,
    #[serde(flatten)]
    rest: BTreeMap<String, Vec<u64>>,
}

fn null() -> Option<OwnedFd> {
    Some(File::open("/dev/null").ok()?.into())
}

/// Takes values out of a message. Some of them name descriptors, and what lies beside the message.
fn take(mut message: Incoming) {
    // Bytes that cannot be decoded are an error, and values are dropped: both are fine.
    let _ = message.take::<Value>();
    let _ = message.take::<Vec<Fd<OwnedFd>>>();
    let _ = message.take::<BTreeMap<Vec<u8>, (String, Option<Fd<File>>)>>();
    let _ = message.take::<RemoteError>();
    let _ = message.take_numbers::<u32>();
    let _ = message.ready();
}

/// Reads frames from a socket, and values from their messages.
pub fn frames(data: &[u8]) {
    let Ok((here, there)) = socket::pair() else {
        return;
    };
    let fds: Vec<OwnedFd> = (0..data.len() % 3).filter_map(|_| null()).collect();
    let _ = socket::try_send(there.as_fd(), &[IoSlice::new(data)], &fds);
    drop((there, fds));
    while let Ok(Some(frame)) = line(&here).receive() {
        take(Incoming::from(frame));
    }
}

/// Receives from a pipe in every way, while the bytes arrive in pieces.
pub fn messages(data: &[u8]) {
    let Ok((ours, theirs)) = pipe::<(), Value>() else {
        return;
    };
    let (first, rest) = data.split_at(data.len() / 3);
    let fds: Vec<OwnedFd> = (0..data.len() % 3).filter_map(|_| null()).collect();
    let _ = socket::try_send(theirs.as_fd(), &[IoSlice::new(first)], &fds);
    let _ = ours.poll(Some(Duration::ZERO));
    let _ = ours.try_recv();
    let _ = socket::try_send(theirs.as_fd(), &[IoSlice::new(rest)], &[]);
    drop((theirs, fds));
    let mut buffer = [0; 100];
    loop {
        // Everything has arrived, and the other end is closed.
        assert!(
            ours.poll(Some(Duration::ZERO))
                .is_ok_and(|is_ready| is_ready)
        );
        let received = match ours.recv_bytes_into(&mut buffer) {
            Err(RecvError::Failed(error)) if error.kind() == ErrorKind::BufferTooShort => {
                ours.recv().map(drop)
            }
            received => received.map(drop),
        };
        if let Err(RecvError::Disconnected | RecvError::Truncated) = received {
            return;
        }
        if let Err(RecvError::Disconnected | RecvError::Truncated) = ours.recv() {
            return;
        }
    }
}

/// Reads values from a message that has some descriptors and numbers of each width beside it.
pub fn values(data: &[u8]) {
    let mut bytes = (data.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(data);
    let fds = (0..3).filter_map(|_| null()).collect();
    let beside = data.get(..data.len() / 16 * 16).unwrap_or_default();
    let blobs = (0..5).filter_map(|log2| Segment::copied(Width::from_log2(log2)?, beside).ok());
    take(Incoming::new(bytes, fds).with_blobs(blobs.collect()));
    take(Incoming::new(data.to_vec(), Vec::new()));
}

/// Receives the replies of a child that has sent them up to an odd place, and has left the rest in
/// memory.
pub fn replies(data: &[u8]) {
    let (Ok((here, there)), Ok(mut memory), Ok((descriptors, received))) =
        (socket::pair(), memfd::create(), socket::packet_pair())
    else {
        return;
    };
    let (sent, left) = data.split_at(data.len() / 3);
    if memory.write_all(left).is_err() {
        return;
    }
    let fds: Vec<OwnedFd> = (0..data.len() % 3).filter_map(|_| null()).collect();
    let _ = socket::try_send(descriptors.as_fd(), &[IoSlice::new(&[0])], &fds);
    let _ = line(&there).send(MEMORY, &[], &[memory.into(), received]);
    let _ = socket::try_send(there.as_fd(), &[IoSlice::new(sent)], &[]);
    drop((there, descriptors));
    let mut replies = Replies::default();
    while let Ok(Some(reply)) = replies.next(&line(&here)) {
        match reply {
            Reply::Returned(message) => take(message),
            Reply::NoRoom(_) | Reply::Unsendable(_) => return,
            _ => {}
        }
    }
}

fn line(socket: &OwnedFd) -> Line<'_> {
    Line {
        stall: Some(Duration::from_secs(10)),
        ..Line::on(socket.as_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::{Flat, Tagged, Untagged, Value, frames, messages, replies, values};
    use crate::{
        start::RETURNED,
        wire::{Incoming, Outgoing, blob_kind},
    };
    use std::collections::BTreeMap;

    /// One value of each variant. Those that can be large have `length` elements.
    fn one_of_each(length: usize) -> Value {
        let text = "t".repeat(length);
        Value::Many(vec![
            Value::Unit,
            Value::Bytes(vec![1; length].into()),
            Value::Text(text.clone()),
            Value::Char('ß'),
            Value::Wide(u128::MAX, -1),
            Value::Narrow(1, -2, 0.5, true),
            Value::Small(vec![3; length]),
            Value::Large(vec![0.25; length]),
            Value::Widest(vec![i128::MIN; length].into()),
            Value::Array([1, 2, 3]),
            Value::Map(BTreeMap::from([(text.clone(), Value::Unit)])),
            Value::Maybe(Some(Box::new(Value::Maybe(None)))),
            Value::Untagged(Untagged::Floats(vec![1.5; length + 1])),
            Value::Untagged(Untagged::Named {
                inner: Tagged::Numbers {
                    numbers: vec![7; length],
                },
            }),
            Value::Untagged(Untagged::Named {
                inner: Tagged::Nothing,
            }),
            Value::Flat(Flat {
                text,
                rest: BTreeMap::from([("r".to_owned(), vec![u64::MAX; length])]),
            }),
        ])
    }

    #[test]
    fn what_is_fed_is_what_is_read_where_nothing_is_wrong_with_it() {
        for length in [0, 3, 70_000] {
            let value = one_of_each(length);
            let mut message = Outgoing::default();
            message.put("a value", &value).unwrap();
            let blobs = message.blobs.arrive().unwrap();
            assert_eq!(blobs.is_empty(), length < 70_000);
            let mut message = Incoming::new(message.bytes, message.fds).with_blobs(blobs);
            assert!(message.take::<Value>().unwrap() == value);
            message.ready().unwrap();
        }
    }

    fn frame(kind: u8, content: &[u8], descriptors: u64) -> Vec<u8> {
        let header = [u64::from(kind), content.len() as u64, descriptors];
        [&header.map(u64::to_le_bytes).concat(), content].concat()
    }

    /// Numbers that look random, and are the same in each run.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        fn below(&mut self, end: usize) -> usize {
            usize::try_from(self.next() % end.max(1) as u64).unwrap()
        }

        /// Changes some bytes: by flipping bits, by values that have a meaning in the format, or by
        /// changing the length.
        fn spoil(&mut self, bytes: &mut Vec<u8>) {
            for _ in 0..=self.below(4) {
                let at = self.below(bytes.len());
                let special = [
                    0, 1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 0x20, 0x24, 0x2b, 0x40, 0x4b, 0x7f, 0x80,
                    0xff,
                ];
                match (self.below(5), bytes.get_mut(at)) {
                    (0, Some(byte)) => *byte ^= 1 << self.below(8),
                    (1, Some(byte)) => *byte = special[self.below(special.len())],
                    (2, Some(byte)) => *byte = self.next().to_le_bytes()[0],
                    (3, _) => bytes.truncate(at),
                    _ => {
                        let special = special[self.below(special.len())];
                        bytes.insert(at, special);
                    }
                }
            }
        }
    }

    /// How many changed or random inputs each entry is fed with.
    const RUNS: usize = 4000;

    /// Feeds an entry with nearly correct bytes, and with random bytes.
    fn feed(sound: &[Vec<u8>], entry: impl Fn(&[u8])) {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for sound in sound {
            entry(sound);
        }
        for run in 0..RUNS {
            let mut bytes = sound[run % sound.len()].clone();
            if run % 4 == 0 {
                let length = random.below(300);
                bytes = (0..length)
                    .map(|_| random.next().to_le_bytes()[0])
                    .collect();
            } else {
                random.spoil(&mut bytes);
            }
            entry(&bytes);
        }
    }

    fn encoded(value: &Value) -> Vec<u8> {
        let mut message = Outgoing::default();
        message.put("a value", value).unwrap();
        message.bytes
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error() {
        let sound = [0, 3, 40].map(|length| encoded(&one_of_each(length)));
        feed(&sound, values);
        // Messages without the length before them, and messages with numbers beside them.
        let large = encoded(&one_of_each(70_000));
        feed(
            &[sound[1][8..].to_vec(), large[8..].to_vec(), large],
            values,
        );
    }

    #[test]
    fn any_bytes_are_frames_or_an_error() {
        let frame = |kind: u8, content: &[u8], descriptors: u64| {
            let mut frame = u64::from(kind).to_le_bytes().to_vec();
            frame.extend_from_slice(&(content.len() as u64).to_le_bytes());
            frame.extend_from_slice(&descriptors.to_le_bytes());
            frame.extend_from_slice(content);
            frame
        };
        let message = frame(3, &encoded(&one_of_each(5)), 0);
        let beside = |log2: u8| frame(0x40 + log2, &[5; 64], 0);
        let sound = [
            message.clone(),
            [beside(0), beside(4), message].concat(),
            frame(3, &[], 2),
            [frame(1, &[], 0), frame(2, &[1; 100], 1)].concat(),
        ];
        feed(&sound, frames);
    }

    #[test]
    fn any_bytes_are_messages_or_an_error() {
        let value = frame(1, &encoded(&one_of_each(5)), 0);
        let bytes = frame(2, &[7; 20], 0);
        let sound = [
            value.clone(),
            [value.clone(), bytes.clone()].concat(),
            [frame(0x40, &[5; 200], 0), frame(2, &[0], 0), value].concat(),
            [frame(0x43, &[5; 64], 0), bytes].concat(),
            frame(1, &[0], 2),
        ];
        feed(&sound, messages);
    }

    #[test]
    fn any_bytes_are_replies_or_an_error() {
        let sound = [0, 5, 70_000].map(|length| {
            let value = one_of_each(length);
            let mut message = Outgoing::default();
            message.put("a value", &value).unwrap();
            let mut bytes = Vec::new();
            for blob in &message.blobs.waiting {
                bytes.extend(frame(blob_kind(blob.width), blob.bytes(), 0));
            }
            bytes.extend(frame(RETURNED, &message.bytes, 0));
            bytes
        });
        feed(&sound[..2], replies);
        replies(&sound[2]);
        // The descriptors of such a reply are sent in another way.
        feed(&[frame(RETURNED | 0x80, &[5; 40], 2)], replies);
    }

    #[test]
    fn nesting_without_end_is_an_error() {
        for (open, innermost) in [
            (&b"\x0c\x06\x05Maybe\x01"[..], &b"\x00"[..]),
            (b"\x0c\x06\x04Many\x0a\x01\0\0\0", b"\x06\x04Unit"),
            (b"\x0c\x06\x03Map\x0b\x01\0\0\0\x06\x01k", b"\x06\x04Unit"),
            (
                b"\x0c\x06\x08Untagged\x0b\x01\0\0\0\x06\x05inner",
                b"\x0a\0\0\0\0",
            ),
            (b"\x0a\x01\0\0\0", b"\x00"),
            (b"\x01", b"\x00"),
        ] {
            let nested = [&open.repeat(100_000)[..], innermost].concat();
            let mut bytes = (nested.len() as u64).to_le_bytes().to_vec();
            bytes.extend_from_slice(&nested);
            let mut message = Incoming::new(bytes, Vec::new());
            message.take::<Value>().unwrap_err();
        }
    }
}
