//! What goes beside a message: before its frame, in the order in which its bytes count them, each in a frame of its own.

use super::{
    blob::Arrived,
    frame::{Line, invalid},
    message::Outgoing,
};
use crate::sys::{
    segment::{Segment, Width},
    socket,
    wait::For,
};
use std::io;

/// The kinds of such frames: to this is added the logarithm of how wide the units are.
const KIND: u8 = 0x40;

/// What is worth a call for more room in the socket.
const LARGE: usize = 256 << 10;

/// How wide the units are, if a frame of this kind goes beside a message.
pub(super) fn width(kind: u8) -> Option<Width> {
    kind.checked_sub(KIND).and_then(Width::from_log2)
}

impl Line<'_> {
    /// Sends one message, and before it what goes beside it.
    pub(crate) fn send_message(&self, kind: u8, message: &Outgoing<'_>) -> io::Result<()> {
        if !message.blobs.0.is_empty() {
            self.make_room(message);
            for blob in &message.blobs.0 {
                self.send(KIND + blob.width.log2(), blob.bytes(), &[])?;
            }
        }
        self.send(kind, &message.bytes, &message.fds)
    }

    /// Makes room in the socket for a message with something large beside it.
    pub(crate) fn make_room(&self, message: &Outgoing<'_>) {
        let mut blobs = message.blobs.0.iter();
        if blobs.any(|blob| blob.bytes().len() >= LARGE) {
            // Without more room it takes longer.
            let _ = socket::widen(self.socket);
        }
    }

    /// Receives what goes beside a message, after the header of its frame.
    pub(super) fn receive_blob(&self, width: Width, length: usize) -> io::Result<Arrived> {
        let mut segment = Segment::new(width, length)
            .ok_or_else(|| invalid("what is beside it has an odd length"))?;
        while !segment.is_full() {
            if self.receive_some(&mut segment)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(segment)
    }

    /// Receives some more; returns how many bytes came, none being the end.
    pub(crate) fn receive_some(&self, segment: &mut Segment) -> io::Result<usize> {
        let mut last_try = false;
        loop {
            match segment.receive(self.socket) {
                // As for the bytes of a message.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(0),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Err(_) if last_try => return Ok(0),
                Err(_) => last_try = !self.wait(For::Reading)?,
                Ok(count) => return Ok(count),
            }
        }
    }
}
