//! Handshakes with a peer that knows the key and does not keep to the protocol: nobody gets in without having proven the key.

use hmac::{KeyInit, Mac, SimpleHmac};
use procession::{AuthKey, net::Options};
use sha2::Sha256;
use std::{
    io::{self, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    thread,
    time::Duration,
};

const KEY: &[u8] = b"sekret";
const CHALLENGE: &[u8] = b"#CHALLENGE#";

/// Runs a script; see [`gets_in`].
///
/// # Panics
///
/// When somebody gets in without having proven the key.
pub(crate) fn run(data: &[u8]) {
    // A side that waits for the rest of a message does not answer.
    gets_in(data, Duration::from_millis(5));
}

/// Returns whether a peer gets in that waits so long for each answer. Takes the first byte as who is who, and the others as what a peer does:
///
/// - 0, a count: sends so many of the bytes that follow;
/// - 1, a count: sends them as a message;
/// - 2: does the next thing that the protocol asks of it;
/// - 3, a place, a byte: does so with a byte changed.
///
/// # Panics
///
/// When it does so without having proven the key.
pub(crate) fn gets_in(data: &[u8], patience: Duration) -> bool {
    let Some((&roles, script)) = data.split_first() else {
        return false;
    };
    let options = Options::new()
        .authkey(AuthKey::new(KEY))
        .allow_md5(roles & 2 != 0)
        .handshake_timeout(Duration::from_secs(30));
    let (here, socket) = UnixStream::pair().expect("there are descriptors left");
    socket
        .set_read_timeout(Some(patience))
        .expect("it can be set");
    let is_listener = roles & 1 != 0;
    let mut peer = Peer {
        socket,
        turns: if is_listener { LISTENER } else { CLIENT }.iter(),
        has_proven: false,
    };
    thread::scope(|scope| {
        let side = scope.spawn(|| {
            if is_listener {
                options.connect_over(here)
            } else {
                options.accept_over(here)
            }
        });
        // The other side may have had enough, which is no error.
        let _ = peer.act(script);
        let _ = peer.socket.shutdown(Shutdown::Write);
        let got_in = side.join().expect("nothing panics").is_ok();
        assert!(
            peer.has_proven || !got_in,
            "somebody got in without the key"
        );
        got_in
    })
}

/// What there is to be done, in order.
#[derive(Clone, Copy)]
enum Turn {
    Deliver,
    Answer,
    Welcome,
}

const LISTENER: &[Turn] = &[Turn::Deliver, Turn::Welcome, Turn::Answer];
const CLIENT: &[Turn] = &[Turn::Answer, Turn::Deliver, Turn::Welcome];

struct Peer {
    socket: UnixStream,
    turns: std::slice::Iter<'static, Turn>,
    has_proven: bool,
}

impl Peer {
    fn act(&mut self, mut script: &[u8]) -> io::Result<()> {
        let mut next = |count: usize| {
            let (now, rest) = script.split_at(count.min(script.len()));
            script = rest;
            now
        };
        while let [action] = next(1) {
            match action % 4 {
                form @ (0 | 1) => {
                    let count = next(1).first().copied().unwrap_or_default();
                    let bytes = next(count.into());
                    if form == 0 {
                        self.socket.write_all(bytes)?;
                    } else {
                        self.send(bytes)?;
                    }
                }
                2 => self.keep_to_protocol(0, 0)?,
                _ => match next(2) {
                    [place, change] => self.keep_to_protocol((*place).into(), *change)?,
                    _ => return Ok(()),
                },
            }
        }
        Ok(())
    }

    fn keep_to_protocol(&mut self, place: usize, change: u8) -> io::Result<()> {
        let Some(&turn) = self.turns.next() else {
            return Ok(());
        };
        let mut message = match turn {
            Turn::Deliver => {
                // What the other side says of the digest, if that has come first.
                if self.turns.len() == 1 {
                    self.receive()?;
                }
                [CHALLENGE, b"{sha256}", &[7; 40]].concat()
            }
            Turn::Welcome => {
                self.receive()?;
                b"#WELCOME#".to_vec()
            }
            Turn::Answer => {
                let challenge = self.receive()?;
                let challenge = challenge.strip_prefix(CHALLENGE).unwrap_or_default();
                let mut mac =
                    SimpleHmac::<Sha256>::new_from_slice(KEY).expect("a key of any length will do");
                mac.update(challenge);
                self.has_proven = change == 0;
                [b"{sha256}", &mac.finalize().into_bytes()[..]].concat()
            }
        };
        let length = message.len();
        message[place % length] ^= change;
        self.send(&message)
    }

    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let length = u32::try_from(message.len()).map_err(io::Error::other)?;
        self.socket
            .write_all(&[&length.to_be_bytes(), message].concat())
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.socket.read_exact(&mut length)?;
        let mut message = vec![0; u32::from_be_bytes(length).min(256) as usize];
        self.socket.read_exact(&mut message)?;
        Ok(message)
    }
}
