//! A socket that sends and receives frames.

use super::{
    error::{Error, ErrorKind, Result},
    frame::{Decoder, Fault, Header},
    socket::Socket,
};
use crate::sys::{
    endpoint, errno,
    fd::{AsFd, OwnedFd},
    socket::{self, MAX_FDS},
    wait::{self, For},
};
use std::{
    io::{self, IoSlice, IoSliceMut},
    time::Instant,
};

/// A socket and the state of both directions.
pub(super) struct Framed {
    socket: Socket,
    incoming: Decoder,
    /// The descriptors that arrived with the frame that is being received.
    fds: Vec<OwnedFd>,
    takes_fds: bool,
    /// Why nothing more can be received.
    fault: Option<Fault>,
    /// Whether a frame was sent only in part, so that no other frame can follow.
    cut: bool,
}

impl Framed {
    /// Wraps a socket. Accepts frames of at most `limit` bytes, and no descriptors.
    pub(super) fn new(socket: Socket, limit: usize) -> Self {
        Self {
            socket,
            incoming: Decoder::new(limit),
            fds: Vec::new(),
            takes_fds: false,
            fault: None,
            cut: false,
        }
    }

    /// From the next frame on, accepts frames of at most `limit` bytes, and descriptors if the
    /// socket can carry them.
    pub(super) fn trust(&mut self, limit: usize) {
        self.incoming = Decoder::new(limit);
        self.takes_fds = self.socket.carries_descriptors();
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Whether a part of a frame has arrived, or nothing more can be received.
    pub(super) fn is_amid_receiving(&self) -> bool {
        self.incoming.has_begun() || self.fault.is_some()
    }

    /// Whether a frame was sent only in part.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Makes all later sends fail.
    pub(super) fn cut(&mut self) {
        self.cut = true;
    }

    /// Returns the most bytes that a received frame may have.
    pub(super) fn limit(&self) -> usize {
        self.incoming.limit()
    }

    /// Returns the bytes of the received frame, which must be whole.
    pub(super) fn body(&self) -> &[u8] {
        self.incoming.body()
    }

    /// Takes the received frame, which must be whole.
    pub(super) fn take(&mut self) -> (Vec<u8>, Vec<OwnedFd>) {
        (self.incoming.take(), std::mem::take(&mut self.fds))
    }

    /// Drops the received frame, which must be whole. Keeps its memory for the next one.
    pub(super) fn discard(&mut self) {
        self.incoming.discard();
        self.fds.clear();
    }

    /// Receives until a frame is whole, or until the deadline. Returns whether the frame is whole.
    pub(super) fn fill(&mut self, deadline: Option<Instant>) -> Result<bool, Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        self.try_fill(deadline).inspect_err(|fault| {
            self.fault = Some(*fault);
            self.fds.clear();
        })
    }

    fn try_fill(&mut self, deadline: Option<Instant>) -> Result<bool, Fault> {
        let is_over = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
        let mut late = false;
        while !self.incoming.is_whole() {
            let socket = self.socket.as_fd();
            let space = self.incoming.space()?;
            let wanted = space.len();
            let received = if self.takes_fds {
                match socket::try_receive(socket, &mut [IoSliceMut::new(space)], &mut self.fds) {
                    Ok(received) if received.is_short => {
                        Err(io::Error::from_raw_os_error(errno::EMFILE))
                    }
                    received => received.map(|received| received.bytes),
                }
            } else {
                endpoint::try_receive_bytes(socket, space)
            };
            let received = match received {
                // A peer that dies with unread data from this side resets the connection. This is
                // an end too.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if wait::until_ready(&[(socket, For::Reading)], deadline)? == [true] {
                        continue;
                    }
                    return Ok(false);
                }
                received => received?,
            };
            if received == 0 {
                if self.incoming.has_begun() {
                    return Err(Fault::Truncated);
                }
                return Err(Fault::Closed);
            }
            self.incoming.advance(received)?;
            if self.fds.len() > MAX_FDS {
                return Err(Fault::Descriptors);
            }
            // Data that arrived before the deadline is still received, and so is an end. So read
            // once more after the deadline, but only once: a peer that sends byte by byte gets no
            // extra time.
            if received < wanted && is_over() {
                if late {
                    break;
                }
                late = true;
            }
        }
        Ok(self.incoming.is_whole())
    }

    /// Sends a frame, with descriptors beside its first byte.
    pub(super) fn send(
        &mut self,
        body: &[u8],
        fds: &[OwnedFd],
        deadline: Option<Instant>,
    ) -> Result<()> {
        if self.cut {
            let what = "an earlier message was cut short, and nothing can be sent after it";
            return Err(Error::new(ErrorKind::Closed, what));
        }
        let mut sent = 0;
        self.try_send_all(body, fds, deadline, &mut sent)
            .inspect_err(|_| {
                self.cut = sent > 0;
                if self.cut {
                    // Otherwise the peer would wait for the rest. This fails only if the connection
                    // has ended already.
                    let _ = socket::end_sending(self.socket.as_fd());
                }
            })
    }

    fn try_send_all(
        &self,
        body: &[u8],
        fds: &[OwnedFd],
        deadline: Option<Instant>,
        sent: &mut usize,
    ) -> Result<()> {
        let header = Header::of(body.len());
        let header = header.as_bytes();
        while *sent < header.len() + body.len() {
            let rest = [
                IoSlice::new(&header[(*sent).min(header.len())..]),
                IoSlice::new(&body[sent.saturating_sub(header.len())..]),
            ];
            // Descriptors go with the first byte.
            let fds = if *sent == 0 { fds } else { &[] };
            match socket::try_send(self.socket.as_fd(), &rest, fds) {
                Ok(now) => *sent += now,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let ready = wait::until_ready(&[(self.socket.as_fd(), For::Writing)], deadline);
                    if ready.map_err(cannot_send)? != [true] {
                        let what = "the peer has no room for the message";
                        return Err(Error::new(ErrorKind::TimedOut, what));
                    }
                }
                Err(error) => return Err(cannot_send(error)),
            }
        }
        Ok(())
    }
}

fn cannot_send(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
            Error::new(ErrorKind::Closed, "the peer has closed the connection").because(error)
        }
        _ => Error::io("the message cannot be sent", error),
    }
}
