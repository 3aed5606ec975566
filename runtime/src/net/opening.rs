//! A connection during its handshake.

use super::{
    Address, Error, ErrorKind, Options, Result, Stream,
    frame::Fault,
    framed::Framed,
    handshake::{self, Handshake, Side},
    socket::Socket,
};
use crate::sys::{
    fd::{AsFd, BorrowedFd},
    wait,
};
use std::time::Instant;

/// A socket and the state of its handshake. It keeps the part of the next message that has arrived,
/// so the handshake can pause and continue at any time.
pub(super) struct Opening {
    framed: Framed,
    peer: Option<Address>,
    /// `None` if there is no key.
    handshake: Option<Handshake>,
    /// The messages to send.
    out: Vec<Vec<u8>>,
    deadline: Option<Instant>,
    options: Options,
}

impl Opening {
    pub(super) fn begin(options: &Options, socket: Socket, side: Side) -> Result<Self> {
        let peer = socket.peer_address();
        if let Socket::Tcp(socket) = &socket {
            // Messages are sent whole, so Nagle's algorithm would only delay short ones. It fails
            // if the peer is gone already.
            socket.set_nodelay(true).map_err(|source| {
                Error::io("the connection cannot be set up", source).in_handshake(peer.as_ref())
            })?;
        }
        let mut out = Vec::new();
        let key = options.key();
        let handshake = key.map(|key| Handshake::new(key, side, options.allows_md5(), &mut out));
        Ok(Self {
            peer,
            framed: Framed::new(socket, handshake::LIMIT),
            handshake: handshake.transpose()?,
            out,
            deadline: wait::deadline(options.time_of_handshake()),
            options: options.clone(),
        })
    }

    /// Does the whole handshake of one side.
    pub(super) fn complete(options: &Options, socket: Socket, side: Side) -> Result<Stream> {
        let mut opening = Self::begin(options, socket, side)?;
        // At the deadline `advance` fails if the handshake is not complete.
        while !opening.advance(opening.deadline())? {}
        Ok(opening.finish())
    }

    /// The deadline of the handshake. `None` means no deadline.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Continues the handshake until `until`, which may be now. Returns whether the handshake is
    /// complete.
    pub(super) fn advance(&mut self, until: Option<Instant>) -> Result<bool> {
        let result = self.step(until).and_then(|done| {
            let is_late = !done
                && self
                    .deadline
                    .is_some_and(|deadline| deadline <= Instant::now());
            if is_late { Err(self.late()) } else { Ok(done) }
        });
        result.map_err(|error| error.in_handshake(self.peer.as_ref()))
    }

    fn step(&mut self, until: Option<Instant>) -> Result<bool> {
        let Some(handshake) = &mut self.handshake else {
            return Ok(true);
        };
        let mut received = Ok(());
        loop {
            let framed = &mut self.framed;
            let sent = self
                .out
                .drain(..)
                .try_for_each(|message| framed.send(&message, &[], until));
            // If both fail, report why the message was wrong, not that the peer could not be told.
            received.and(sent)?;
            if handshake.is_done() {
                return Ok(true);
            }
            match framed.fill(until) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(Fault::Closed) => {
                    let what = "the peer has closed the connection before the handshake was over";
                    return Err(Error::new(ErrorKind::Closed, what));
                }
                Err(fault) => return Err(fault.into()),
            }
            received = handshake.receive(framed.body(), &mut self.out);
            framed.discard();
        }
    }

    fn late(&self) -> Error {
        let time = self.options.time_of_handshake();
        let missing = self.handshake.as_ref().map_or("", Handshake::missing);
        Error::new(
            ErrorKind::TimedOut,
            format!("it took longer than {time:?}: {missing}"),
        )
    }

    /// The error of a client that is turned away to make room for others.
    pub(super) fn evicted(self, why: &'static str) -> Error {
        Error::new(ErrorKind::TooManyClients, why).in_handshake(self.peer.as_ref())
    }

    /// Returns the connection. The handshake must be complete.
    pub(super) fn finish(self) -> Stream {
        Stream::new(self.framed, self.peer, self.options.longest_message())
    }
}

impl AsFd for Opening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.framed.socket().as_fd()
    }
}
