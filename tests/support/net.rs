//! What the tests of listeners and clients share.

#![expect(
    clippy::missing_panics_doc,
    reason = "they are steps of tests, which fail by that"
)]

use crate::Directory;
use procession::{
    AuthKey,
    net::{Address, Error, ErrorKind, Options, Stream},
};
use std::{
    fmt,
    io::{self, Read},
    net::Ipv4Addr,
    os::unix::net::UnixStream,
    process,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

/// The key that both sides know, unless one is a stranger.
pub const KEY: &[u8] = b"sekret";
/// As long as no test takes.
pub const LONG: Duration = Duration::from_secs(50);
/// What a test waits for in vain.
pub const SHORT: Duration = Duration::from_millis(100);

/// Returns options with the key, and time enough for a machine that does other things as well.
pub fn options() -> Options {
    Options::new()
        .authkey(AuthKey::new(KEY))
        .handshake_timeout(LONG)
}

/// Returns options with another key.
pub fn stranger() -> Options {
    options().authkey(AuthKey::new(b"another"))
}

/// Returns a name that nothing else has.
#[must_use]
pub fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("procession-{}-{count}", process::id())
}

/// Runs a test with an address of each family, where nobody listens yet.
pub fn over_each_family(test: impl Fn(Address)) {
    let directory = Directory::new();
    test((Ipv4Addr::LOCALHOST, 0).into());
    test(directory.0.join("socket").into());
    test(Address::from_abstract_name(unique()));
}

/// Does two things at once.
pub fn both<A: Send, B>(one: impl FnOnce() -> A + Send, other: impl FnOnce() -> B) -> (A, B) {
    thread::scope(|scope| {
        let one = scope.spawn(one);
        let other = other();
        (one.join().unwrap(), other)
    })
}

/// Has two sides with these options meet over a pair of sockets.
pub fn meet(
    client: &Options,
    listener: &Options,
) -> (Result<Stream, Error>, Result<Stream, Error>) {
    let (here, there) = UnixStream::pair().unwrap();
    both(|| client.connect_over(here), || listener.accept_over(there))
}

/// Returns both ends of a connection.
#[must_use]
pub fn pair() -> (Stream, Stream) {
    let (client, server) = meet(&Options::new(), &Options::new());
    (client.unwrap(), server.unwrap())
}

/// Returns the kind of an error.
#[track_caller]
pub fn kind<T: fmt::Debug>(result: Result<T, Error>) -> ErrorKind {
    result.unwrap_err().kind()
}

/// Returns a frame as it is on the wire.
#[must_use]
pub fn frame(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    [&length.to_be_bytes(), body].concat()
}

/// Reads a frame.
///
/// # Errors
///
/// When there is none.
pub fn read_frame(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let mut body = vec![0; u32::from_be_bytes(length) as usize];
    from.read_exact(&mut body)?;
    Ok(body)
}

/// Returns messages of every size that makes a difference on the wire.
fn messages() -> Vec<Vec<u8>> {
    let sizes = [0, 1, 255, 16_384, 16_385, 3_000_000];
    let byte = |index: usize| u8::try_from(index % 251).unwrap();
    sizes.map(|size| (0..size).map(byte).collect()).to_vec()
}

/// Sends messages and gets each back.
pub fn call_echo(stream: &mut Stream) {
    for message in messages() {
        stream.send_bytes(&message).unwrap();
        let back = stream.recv_bytes().unwrap();
        assert!(back == message, "{} bytes", message.len());
    }
}

/// Sends back what comes, until the other side has ended.
pub fn be_echo(stream: &mut Stream) {
    loop {
        match stream.recv_bytes() {
            Ok(message) => stream.send_bytes(&message).unwrap(),
            Err(error) => return assert_eq!(error.kind(), ErrorKind::Closed),
        }
    }
}
