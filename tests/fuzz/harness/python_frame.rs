//! Frames of any sort, cut in any way: what comes out is what a reader of all of it at once would find.

use procession::net::{ErrorKind, Options, Stream};
use std::{io::Write, net::Shutdown, os::unix::net::UnixStream, time::Duration};

const LIMIT: usize = 4096;

/// Takes the first byte as how to cut the others, and these as what a peer sends before it ends.
///
/// # Panics
///
/// When something else is received than was sent.
pub(crate) fn run(data: &[u8]) {
    let Some((&cut, bytes)) = data.split_first() else {
        return;
    };
    let (expected, end) = read_at_once(bytes);
    let (here, mut there) = UnixStream::pair().expect("there are descriptors left");
    let mut stream = Options::new()
        .max_message(LIMIT)
        .connect_over(here)
        .expect("there is no handshake");
    let mut received = Vec::new();
    for part in bytes.chunks(usize::from(cut) + 1) {
        // The other side may have had enough.
        if there.write_all(part).is_err() || receive(&mut stream, &mut received).is_some() {
            break;
        }
    }
    there
        .shutdown(Shutdown::Write)
        .expect("the socket is connected");
    let found = receive(&mut stream, &mut received);
    assert_eq!(found, Some(end));
    assert_eq!(received, expected);
    // It stays so, and values are no way around it.
    assert!(stream.poll(Duration::ZERO));
    assert_eq!(stream.recv::<u8>().map_err(|error| error.kind()), Err(end));
    decode(bytes);
}

/// Takes what is there, and returns why there will be no more.
fn receive(stream: &mut Stream, received: &mut Vec<Vec<u8>>) -> Option<ErrorKind> {
    loop {
        match stream.recv_bytes_timeout(Duration::ZERO) {
            Ok(Some(message)) => received.push(message),
            Ok(None) => return None,
            Err(error) => return Some(error.kind()),
        }
    }
}

/// The same, the simple way: all messages, and the error after them.
fn read_at_once(mut bytes: &[u8]) -> (Vec<Vec<u8>>, ErrorKind) {
    let mut messages = Vec::new();
    loop {
        if bytes.is_empty() {
            return (messages, ErrorKind::Closed);
        }
        let Some((short, rest)) = bytes.split_first_chunk() else {
            return (messages, ErrorKind::Truncated);
        };
        let (length, rest) = match i32::from_be_bytes(*short) {
            -1 => match rest.split_first_chunk() {
                Some((long, rest)) => (u64::from_be_bytes(*long), rest),
                None => return (messages, ErrorKind::Truncated),
            },
            length => match u64::try_from(length) {
                Ok(length) => (length, rest),
                Err(_) => return (messages, ErrorKind::Protocol),
            },
        };
        if length > LIMIT as u64 {
            return (messages, ErrorKind::TooLarge);
        }
        let length = usize::try_from(length).expect("it is within the limit");
        let Some((message, rest)) = rest.split_at_checked(length) else {
            return (messages, ErrorKind::Truncated);
        };
        messages.push(message.to_vec());
        bytes = rest;
    }
}

/// The bytes as one message that is asked for as a value: it is one, or a typed error.
fn decode(bytes: &[u8]) {
    let (here, there) = UnixStream::pair().expect("there are descriptors left");
    let [mut here, mut there] = [here, there].map(|socket| {
        Options::new()
            .connect_over(socket)
            .expect("there is no handshake")
    });
    let bytes = &bytes[..bytes.len().min(LIMIT)];
    there.send_bytes(bytes).expect("there is room for so much");
    if let Err(error) = here.recv::<Vec<(Option<String>, f64, Vec<u8>)>>() {
        assert_eq!(error.kind(), ErrorKind::Decode);
    }
}
