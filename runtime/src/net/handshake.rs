//! The handshake: both sides prove that they know the key, without sending it. This module does not
//! use sockets.
//!
//! One side *delivers* a challenge: it sends the challenge, receives its digest under the key, and
//! says whether the digest is right. The other side *answers*. The listener first delivers and then
//! answers. The client first answers and then delivers. So a listener gives no digest to a peer
//! that has not proven the key.
//!
//! A client does give a digest to any listener, for any challenge. An impostor that listens could
//! get a challenge from a second client in another connection, and send it to this client to get
//! the answer. So clients mark their challenges, and answer no marked challenge. The mark is a part
//! of the random bytes: it is a digest of the other bytes, and looks random to everyone who does
//! not know the key. A listener does not mark its challenges. Anybody can ask it for a challenge,
//! and could then test guessed keys against the mark.

use super::{
    digest::Digest,
    error::{Error, ErrorKind, Result},
};
use crate::{start::AuthKey, sys::random};

/// The most bytes that a message of the handshake may have.
pub(super) const LIMIT: usize = 256;

const CHALLENGE: &[u8] = b"#CHALLENGE#";
const WELCOME: &[u8] = b"#WELCOME#";
const FAILURE: &[u8] = b"#FAILURE#";

/// The lengths of a challenge and a digest in the old form. They have no prefix and mean MD5.
const OLD_CHALLENGE: usize = 20;
const OLD_DIGEST: usize = 16;

/// How many bytes of a challenge follow its prefix, and where the mark begins in a challenge of a
/// client.
const RANDOM: usize = 40;
const MARK: usize = 24;

/// The role of this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Listener,
    Client,
}

/// The state of one side of a handshake. It is given the messages of the peer, and gives the
/// messages to send.
pub(super) struct Handshake {
    key: AuthKey,
    side: Side,
    allow_md5: bool,
    awaits: Awaits,
    /// The challenge of this side, without [`CHALLENGE`] before it.
    challenge: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaits {
    Challenge,
    Digest,
    Verdict,
    Nothing,
}

impl Handshake {
    /// Begins a handshake. Here and later, the messages to send are appended to `out`.
    pub(super) fn new(
        key: &AuthKey,
        side: Side,
        allow_md5: bool,
        out: &mut Vec<Vec<u8>>,
    ) -> Result<Self> {
        let mut bytes = [0; RANDOM];
        random::fill(&mut bytes).map_err(|source| Error::io("no challenge can be made", source))?;
        if side == Side::Client {
            let (random, place) = bytes.split_at_mut(MARK);
            place.copy_from_slice(&mark(key, random)[..RANDOM - MARK]);
        }
        let mut handshake = Self {
            key: key.clone(),
            side,
            allow_md5,
            awaits: Awaits::Challenge,
            challenge: Digest::Sha256.prefixed(&bytes),
        };
        if side == Side::Listener {
            handshake.deliver(out);
        }
        Ok(handshake)
    }

    /// Whether both sides have proven the key.
    pub(super) fn is_done(&self) -> bool {
        self.awaits == Awaits::Nothing
    }

    /// Returns a text that says which message of the peer is missing.
    pub(super) fn missing(&self) -> &'static str {
        match (self.awaits, self.side) {
            (Awaits::Challenge, Side::Client) => {
                "no challenge came, which a listener without a key sends to nobody"
            }
            (Awaits::Challenge, Side::Listener) => "no challenge came",
            (Awaits::Digest, Side::Listener) => {
                "the peer did not answer the challenge, which a client without a key never does"
            }
            (Awaits::Digest, Side::Client) => "the peer did not answer the challenge",
            (Awaits::Verdict | Awaits::Nothing, _) => {
                "the peer did not say whether it accepts the answer"
            }
        }
    }

    /// Takes the next message of the peer. The messages appended to `out` must be sent even if this
    /// fails.
    pub(super) fn receive(&mut self, message: &[u8], out: &mut Vec<Vec<u8>>) -> Result<()> {
        match self.awaits {
            Awaits::Challenge => {
                out.push(self.answer(message)?);
                self.awaits = Awaits::Verdict;
            }
            Awaits::Verdict => {
                judge(message)?;
                match self.side {
                    Side::Listener => self.awaits = Awaits::Nothing,
                    Side::Client => self.deliver(out),
                }
            }
            Awaits::Digest => {
                let checked = self.check(message);
                let verdict = if checked.is_ok() { WELCOME } else { FAILURE };
                out.push(verdict.to_vec());
                checked?;
                self.awaits = match self.side {
                    Side::Listener => Awaits::Challenge,
                    Side::Client => Awaits::Nothing,
                };
            }
            Awaits::Nothing => {}
        }
        Ok(())
    }

    fn deliver(&mut self, out: &mut Vec<Vec<u8>>) {
        out.push([CHALLENGE, &self.challenge].concat());
        self.awaits = Awaits::Digest;
    }

    /// Checks the peer's digest of the challenge of this side.
    fn check(&self, message: &[u8]) -> Result<()> {
        let (digest, value) = match message.len() {
            OLD_DIGEST => (Digest::Md5, message),
            _ => Digest::split(message).ok_or_else(|| match self.side {
                Side::Listener => {
                    self.stranger(message, "the peer answered a challenge with something else")
                }
                Side::Client => protocol("the peer answered a challenge with something else"),
            })?,
        };
        self.allow(digest)?;
        if digest.is_of(&self.key, &self.challenge, value) {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::WrongKey, "the peer has another key"))
        }
    }

    /// Returns the answer to the challenge of the peer.
    fn answer(&self, message: &[u8]) -> Result<Vec<u8>> {
        let challenge = message
            .strip_prefix(CHALLENGE)
            .ok_or_else(|| match self.side {
                Side::Client => {
                    self.stranger(message, "the peer sent something else than a challenge")
                }
                Side::Listener => protocol("the peer sent something else than a challenge"),
            })?;
        if challenge.len() < OLD_CHALLENGE {
            return Err(protocol("the challenge of the peer is too short"));
        }
        if challenge == self.challenge || (self.side == Side::Client && self.is_marked(challenge)) {
            return Err(Error::new(
                ErrorKind::Reflected,
                "the challenge of the peer was made on this side",
            ));
        }
        if challenge.len() == OLD_CHALLENGE {
            self.allow(Digest::Md5)?;
            return Ok(Digest::Md5.of(&self.key, challenge));
        }
        let (digest, _) = Digest::split(challenge)
            .ok_or_else(|| protocol("the peer asks for a digest that is unknown"))?;
        self.allow(digest)?;
        Ok(digest.prefixed(&digest.of(&self.key, challenge)))
    }

    /// The error of a first message that is not the expected part of the handshake.
    fn stranger(&self, message: &[u8], what: &'static str) -> Error {
        // A message that begins like this is a part of a handshake, but the wrong one.
        if message.starts_with(b"#") || message.starts_with(b"{") {
            return protocol(what);
        }
        Error::new(
            ErrorKind::NoKey,
            match self.side {
                Side::Client => "the peer seems to have no key: its first message is no challenge",
                Side::Listener => {
                    "the peer seems to have no key: its first message is no answer to the challenge"
                }
            },
        )
    }

    fn allow(&self, digest: Digest) -> Result<()> {
        if digest == Digest::Md5 && !self.allow_md5 {
            return Err(Error::new(
                ErrorKind::WeakDigest,
                "the peer proves the key by MD5, which is not allowed",
            ));
        }
        Ok(())
    }

    /// Whether a client with the same key has made this challenge.
    fn is_marked(&self, challenge: &[u8]) -> bool {
        let bytes = Digest::split(challenge).map(|(_, bytes)| bytes);
        let parts = bytes.filter(|bytes| bytes.len() == RANDOM);
        parts
            .map(|bytes| bytes.split_at(MARK))
            .is_some_and(|(random, found)| mark(&self.key, random).starts_with(found))
    }
}

/// The mark in the challenge of a client. It differs from every answer to a challenge, because no
/// challenge that is answered begins with this text.
fn mark(key: &AuthKey, random: &[u8]) -> Vec<u8> {
    Digest::Sha256.of(
        key,
        &[b"procession: a challenge of a client ", random].concat(),
    )
}

/// Reads the verdict of the peer on the digest of this side.
fn judge(message: &[u8]) -> Result<()> {
    match message {
        WELCOME => Ok(()),
        FAILURE => Err(Error::new(
            ErrorKind::Rejected,
            "the peer has another key, and said so",
        )),
        _ => Err(protocol("the peer said neither welcome nor failure")),
    }
}

fn protocol(what: &'static str) -> Error {
    Error::new(ErrorKind::Protocol, what)
}

#[cfg(test)]
mod tests {
    use super::{CHALLENGE, Digest, ErrorKind, FAILURE, Handshake, Side, WELCOME, mark};
    use crate::{net::Error, start::AuthKey};

    fn key() -> AuthKey {
        AuthKey::new(b"sekret")
    }

    fn begin(key: &AuthKey, side: Side, allow_md5: bool) -> (Handshake, Vec<Vec<u8>>) {
        let mut out = Vec::new();
        let handshake = Handshake::new(key, side, allow_md5, &mut out).unwrap();
        (handshake, out)
    }

    /// Gives one message to a side, and returns its answers.
    fn tell(handshake: &mut Handshake, message: &[u8]) -> (Vec<Vec<u8>>, Result<(), ErrorKind>) {
        let mut out = Vec::new();
        let result = handshake.receive(message, &mut out);
        (out, result.map_err(|error| error.kind()))
    }

    fn challenge(rest: &[u8]) -> Vec<u8> {
        [CHALLENGE, rest].concat()
    }

    /// Lets two sides exchange messages until both are done or one has failed.
    fn meet(listener: &AuthKey, client: &AuthKey) -> [Result<(), ErrorKind>; 2] {
        let (mut server, mut to_client) = begin(listener, Side::Listener, false);
        let (mut client, mut to_server) = begin(client, Side::Client, false);
        let kind = |error: Error| error.kind();
        let mut results = [Ok(()), Ok(())];
        while !(to_client.is_empty() && to_server.is_empty()) {
            for message in std::mem::take(&mut to_client) {
                results[1] = results[1]
                    .and_then(|()| client.receive(&message, &mut to_server).map_err(kind));
            }
            for message in std::mem::take(&mut to_server) {
                results[0] = results[0]
                    .and_then(|()| server.receive(&message, &mut to_client).map_err(kind));
            }
        }
        assert_eq!(
            server.is_done() && client.is_done(),
            results == [Ok(()), Ok(())]
        );
        results
    }

    #[test]
    fn both_sides_must_have_the_key() {
        let other = AuthKey::new(b"other");
        assert_eq!(meet(&key(), &key()), [Ok(()), Ok(())]);
        assert_eq!(
            meet(&key(), &other),
            [Err(ErrorKind::WrongKey), Err(ErrorKind::Rejected)]
        );
    }

    #[test]
    fn answers_are_the_vectors_of_the_protocol() {
        let key = key();
        let new: Vec<u8> = (0..0x28).collect();
        let (mut client, out) = begin(&key, Side::Client, false);
        assert!(out.is_empty());
        let (out, result) = tell(&mut client, &challenge(&Digest::Sha256.prefixed(&new)));
        assert_eq!(result, Ok(()));
        let hex = format!("{:02x?}", &out[0][8..]).replace(", ", "");
        assert_eq!(&out[0][..8], b"{sha256}");
        assert_eq!(
            hex,
            "[6a7be37fc3519858319beb256bc3753f55ae3cc6fb5653c787f904d2a6b4c877]"
        );

        let (mut client, _) = begin(&key, Side::Client, true);
        let (out, result) = tell(&mut client, &challenge(&new[..0x14]));
        assert_eq!(result, Ok(()));
        let hex = format!("{:02x?}", out[0]).replace(", ", "");
        assert_eq!(hex, "[1547491ceddff4e2a6582dd0a04c40e0]");
    }

    #[test]
    fn md5_is_refused_unless_it_is_allowed() {
        let key = key();
        for prefixed in [false, true] {
            for allowed in [false, true] {
                let (mut listener, out) = begin(&key, Side::Listener, allowed);
                let mut digest = Digest::Md5.of(&key, out[0].strip_prefix(CHALLENGE).unwrap());
                if prefixed {
                    digest = Digest::Md5.prefixed(&digest);
                }
                let (out, result) = tell(&mut listener, &digest);
                let expected = if allowed {
                    (WELCOME, Ok(()))
                } else {
                    (FAILURE, Err(ErrorKind::WeakDigest))
                };
                assert_eq!((&out[0][..], result), expected);

                let (mut client, _) = begin(&key, Side::Client, allowed);
                let old = [7; 20];
                let message = if prefixed {
                    Digest::Md5.prefixed(&old)
                } else {
                    old.to_vec()
                };
                let (out, result) = tell(&mut client, &challenge(&message));
                assert_eq!((out.len(), result), (usize::from(allowed), expected.1));
            }
        }
    }

    #[test]
    fn every_digest_that_has_a_name_is_answered_and_accepted() {
        let key = key();
        for digest in [
            Digest::Sha256,
            Digest::Sha384,
            Digest::Sha3_256,
            Digest::Sha3_384,
        ] {
            let (mut client, _) = begin(&key, Side::Client, false);
            let message = digest.prefixed(&[1; 40]);
            let (out, result) = tell(&mut client, &challenge(&message));
            assert_eq!(result, Ok(()));
            assert_eq!(out, [digest.prefixed(&digest.of(&key, &message))]);

            let (mut listener, out) = begin(&key, Side::Listener, false);
            let answer = digest.of(&key, out[0].strip_prefix(CHALLENGE).unwrap());
            let (out, result) = tell(&mut listener, &digest.prefixed(&answer));
            assert_eq!((&out[..], result), (&[WELCOME.to_vec()][..], Ok(())));
        }
    }

    #[test]
    fn client_answers_no_challenge_of_a_client() {
        let key = key();
        let (mut one, _) = begin(&key, Side::Client, true);
        let (mut other, _) = begin(&key, Side::Client, true);
        let (_, answered) = tell(&mut one, &challenge(&Digest::Sha256.prefixed(&[0; 40])));
        let (out, welcomed) = tell(&mut one, WELCOME);
        assert_eq!((answered, welcomed), (Ok(()), Ok(())));
        let (answer, result) = tell(&mut other, &out[0]);
        assert_eq!((answer.len(), result), (0, Err(ErrorKind::Reflected)));

        // With another prefix it is another message, but the mark is found all the same.
        let bytes = &out[0][CHALLENGE.len() + 8..];
        let disguised = challenge(&Digest::Sha384.prefixed(bytes));
        let (mut other, _) = begin(&key, Side::Client, true);
        assert_eq!(tell(&mut other, &disguised).1, Err(ErrorKind::Reflected));

        // A client with another key does not see the mark.
        let stranger = AuthKey::new(b"other");
        let (mut client, _) = begin(&stranger, Side::Client, false);
        assert_eq!(tell(&mut client, &out[0]).1, Ok(()));
    }

    #[test]
    fn listener_answers_a_client_and_not_itself() {
        let key = key();
        let welcome = |listener: &mut Handshake, out: &[Vec<u8>]| {
            let own = out[0].strip_prefix(CHALLENGE).unwrap();
            let proof = Digest::Sha256.prefixed(&Digest::Sha256.of(&key, own));
            assert_eq!(tell(listener, &proof), (vec![WELCOME.to_vec()], Ok(())));
        };
        let (mut listener, out) = begin(&key, Side::Listener, false);
        welcome(&mut listener, &out);
        assert_eq!(tell(&mut listener, &out[0]).1, Err(ErrorKind::Reflected));

        let (mut listener, out) = begin(&key, Side::Listener, false);
        welcome(&mut listener, &out);
        let marked = [&[3; 24], &mark(&key, &[3; 24])[..16]].concat();
        assert_eq!(
            tell(&mut listener, &challenge(&Digest::Sha256.prefixed(&marked))).1,
            Ok(())
        );
        assert_eq!(tell(&mut listener, WELCOME), (vec![], Ok(())));
        assert!(listener.is_done());
    }

    #[test]
    fn nothing_else_is_taken_for_a_part_of_it() {
        let key = key();
        let odd: [&[u8]; 9] = [
            b"",
            b"#",
            b"#CHALLENGE#",
            b"#CHALLENGE#too short",
            b"#CHALLENGE#{sha1}0123456789012345678901234567890123456789",
            b"#CHALLENGE#no prefix, and longer than twenty bytes",
            WELCOME,
            FAILURE,
            &[0xff; 256],
        ];
        for message in odd {
            let (mut client, _) = begin(&key, Side::Client, true);
            let kind = if message.starts_with(b"#") {
                ErrorKind::Protocol
            } else {
                ErrorKind::NoKey
            };
            assert_eq!(tell(&mut client, message), (vec![], Err(kind)));
            let (mut listener, _) = begin(&key, Side::Listener, true);
            let (out, result) = tell(&mut listener, message);
            assert_eq!((&out[0][..], result), (FAILURE, Err(kind)));
            assert!(!client.is_done() && !listener.is_done());
        }
        let (mut client, _) = begin(&key, Side::Client, false);
        let answered = tell(&mut client, &challenge(&Digest::Sha256.prefixed(&[0; 40])));
        assert_eq!(answered.1, Ok(()));
        assert_eq!(tell(&mut client, b"#WELCOME").1, Err(ErrorKind::Protocol));
    }
}
