//! Sends a frame without blocking, as far as there is room.

use super::{
    blob,
    frame::{self, HEADER},
};
use crate::sys::{
    fd::{BorrowedFd, OwnedFd},
    segment::Width,
    socket::{self, MAX_FDS},
};
use std::io::{self, IoSlice, Write};

/// A frame, and how much of it has been sent.
///
/// It never blocks. So a sender can give up at any time and go on later.
#[derive(Debug)]
pub(crate) struct Outbox<'m> {
    header: [u8; HEADER],
    bytes: [&'m [u8]; 2],
    /// How many bytes have been sent, of the header and the two parts together.
    sent: usize,
    /// The descriptors that have not been sent.
    fds: &'m [OwnedFd],
}

impl<'m> Outbox<'m> {
    /// Returns a frame whose bytes are in two parts.
    pub(crate) fn new(kind: u8, bytes: [&'m [u8]; 2], fds: &'m [OwnedFd]) -> Self {
        let length = bytes[0].len() as u64 + bytes[1].len() as u64;
        Self {
            header: frame::header(kind, length, fds.len() as u64),
            bytes,
            sent: 0,
            fds,
        }
    }

    /// Returns the frame of a blob.
    pub(crate) fn blob(width: Width, bytes: &'m [u8]) -> Self {
        Self::new(blob::kind(width), [bytes, &[]], &[])
    }

    /// Returns a frame whose `count` descriptors are sent in another way.
    pub(crate) fn apart(kind: u8, bytes: &'m [u8], count: usize) -> Self {
        Self {
            header: frame::header(kind | frame::APART, bytes.len() as u64, count as u64),
            ..Self::new(kind, [bytes, &[]], &[])
        }
    }

    /// Whether anything has been sent.
    pub(crate) fn is_begun(&self) -> bool {
        self.sent > 0
    }

    /// Sends what there is room for, without blocking. Returns whether everything has been sent.
    pub(crate) fn give_out(&mut self, socket: BorrowedFd<'_>) -> io::Result<bool> {
        loop {
            // One message carries at most `MAX_FDS` descriptors. The first group of them goes with
            // the header. Each further group needs a byte to go with, after the frame.
            let (group, later) = self.fds.split_at(self.fds.len().min(MAX_FDS));
            let rest = self.rest();
            let is_whole = self.sent > 0 && rest.iter().all(|part| part.is_empty());
            let result = match (is_whole, self.sent) {
                (true, _) if group.is_empty() => return Ok(true),
                (true, _) => socket::try_send(socket, &[IoSlice::new(&[0])], group),
                (false, 0) => socket::try_send(socket, &rest.map(IoSlice::new), group),
                (false, _) => socket::try_send(socket, &rest.map(IoSlice::new), &[]),
            };
            let count = match result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                result => result?,
            };
            if is_whole || self.sent == 0 {
                self.fds = later;
            }
            if !is_whole {
                self.sent += count;
            }
        }
    }

    /// Writes the rest of the bytes to a place that takes everything, such as memory.
    pub(crate) fn write_out(&mut self, to: &mut impl Write) -> io::Result<()> {
        for part in self.rest() {
            to.write_all(part)?;
        }
        self.sent = HEADER + self.bytes[0].len() + self.bytes[1].len();
        Ok(())
    }

    /// Returns the bytes that have not been sent.
    fn rest(&self) -> [&[u8]; 3] {
        let mut sent = self.sent;
        [&self.header, self.bytes[0], self.bytes[1]].map(|part| {
            let done = sent.min(part.len());
            sent -= done;
            &part[done..]
        })
    }
}
