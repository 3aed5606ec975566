//! A connection that is being opened: both sides prove the key, if there is one.

use super::{
    Address, Error, ErrorKind, Options, Result, Stream,
    frame::Fault,
    framed::Framed,
    handshake::{self, Handshake, Side},
    socket::Socket,
};
use crate::sys::wait;
use std::{
    os::fd::{AsFd, BorrowedFd},
    time::Instant,
};

/// A socket, and how far the handshake over it has come. It holds what has come of the next message, so that it can go on at any time.
pub(super) struct Opening {
    framed: Framed,
    peer: Option<Address>,
    /// None where there is no key.
    handshake: Option<Handshake>,
    /// What is to be sent.
    out: Vec<Vec<u8>>,
    deadline: Option<Instant>,
    options: Options,
}

impl Opening {
    pub(super) fn begin(options: &Options, socket: Socket, side: Side) -> Result<Self> {
        if let Socket::Tcp(socket) = &socket {
            // Messages are sent whole, so to hold back a short one until the last is acknowledged wins nothing.
            socket
                .set_nodelay(true)
                .map_err(|source| Error::io("the connection cannot be set up", source))?;
        }
        let mut out = Vec::new();
        let key = options.key();
        let handshake = key.map(|key| Handshake::new(key, side, options.allows_md5(), &mut out));
        Ok(Self {
            peer: socket.peer_address(),
            framed: Framed::new(socket, handshake::LIMIT),
            handshake: handshake.transpose()?,
            out,
            deadline: wait::deadline(options.time_of_handshake()),
            options: options.clone(),
        })
    }

    /// When the time of the handshake is over; none is never.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Goes on with the handshake until the moment, which may be now, and returns whether it is complete.
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
            // Why it failed says more than that the peer could not be told.
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

    /// The error of a client that has to make room for others.
    pub(super) fn evicted(self, why: &'static str) -> Error {
        Error::new(ErrorKind::TooManyClients, why).in_handshake(self.peer.as_ref())
    }

    /// Returns the connection, after the handshake.
    pub(super) fn finish(self) -> Stream {
        Stream::new(self.framed, self.peer, self.options.longest_message())
    }
}

impl AsFd for Opening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.framed.socket().as_fd()
    }
}
