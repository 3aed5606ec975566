//! A socket over which frames go, with what has come of the next one.

use super::{
    error::{Error, ErrorKind, Result},
    frame::{Decoder, Fault, Header},
    socket::Socket,
};
use crate::sys::{
    endpoint,
    socket::{self, MAX_FDS},
    wait::{self, For},
};
use nix::errno::Errno;
use std::{
    io::{self, IoSlice, IoSliceMut},
    os::fd::{AsFd, OwnedFd},
    time::Instant,
};

/// A socket, and where both directions stand.
pub(super) struct Framed {
    socket: Socket,
    incoming: Decoder,
    /// What came beside the bytes of the frame that is on its way in.
    fds: Vec<OwnedFd>,
    takes_fds: bool,
    /// Why nothing more can be received.
    fault: Option<Fault>,
    /// Whether a frame was sent in part, so that no other can follow.
    cut: bool,
}

impl Framed {
    /// A socket that is trusted with no more than frames of so many bytes.
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

    /// Sets what it is trusted with from the next frame on: longer ones, and descriptors if it can carry them.
    pub(super) fn trust(&mut self, limit: usize) {
        self.incoming = Decoder::new(limit);
        self.takes_fds = self.socket.carries_descriptors();
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Whether some of a frame has come, or nothing more will.
    pub(super) fn is_amid_receiving(&self) -> bool {
        self.incoming.has_begun() || self.fault.is_some()
    }

    /// Whether a frame was sent in part.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Has nothing more be sent.
    pub(super) fn cut(&mut self) {
        self.cut = true;
    }

    /// Returns how long a frame that comes may be.
    pub(super) fn limit(&self) -> usize {
        self.incoming.limit()
    }

    /// Returns the bytes of a frame that is whole.
    pub(super) fn body(&self) -> &[u8] {
        self.incoming.body()
    }

    /// Takes a frame that is whole.
    pub(super) fn take(&mut self) -> (Vec<u8>, Vec<OwnedFd>) {
        (self.incoming.take(), std::mem::take(&mut self.fds))
    }

    /// Forgets a frame that is whole, and keeps its memory.
    pub(super) fn discard(&mut self) {
        self.incoming.discard();
        self.fds.clear();
    }

    /// Receives until a frame is whole, or until the deadline; returns whether it is whole.
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
                    Ok(received) if received.is_short => Err(Errno::EMFILE.into()),
                    received => received.map(|received| received.bytes),
                }
            } else {
                endpoint::try_receive_bytes(socket, space)
            };
            let received = match received {
                // A peer that died with something of ours unread resets the connection: the end, all the same.
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
            // What was there at the deadline is still taken, an end included. A peer that sends bit by bit gets no more time
            // by that.
            if received < wanted && is_over() {
                if late {
                    break;
                }
                late = true;
            }
        }
        Ok(self.incoming.is_whole())
    }

    /// Sends a frame, with descriptors beside it.
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
                    // The peer would wait for the rest. It is gone already if this fails.
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
            // Descriptors go beside the first byte.
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
