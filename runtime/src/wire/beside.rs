//! What goes beside a message: before its frame, in the order in which its bytes count them, each in a frame of its own.

use super::{
    blob,
    codec::INLINE,
    line::{Line, Unsent},
    message::Outgoing,
};
use crate::sys::{
    segment::{Segment, Width},
    socket,
    wait::For,
};
use std::io;

/// What is worth a call for more room in the socket.
const LARGE: usize = 256 << 10;

impl Line<'_> {
    /// Sends one message, and before it what goes beside it.
    pub(crate) fn send_message(&self, kind: u8, message: &Outgoing<'_>) -> io::Result<()> {
        Ok(self.post(kind, message, &[])?)
    }

    /// Sends one message, some bytes after its own, and before it what goes beside it; says whether what it cannot send was begun.
    pub(crate) fn post(&self, kind: u8, message: &Outgoing<'_>, more: &[u8]) -> Result<(), Unsent> {
        if !message.has_nothing_large() {
            self.make_room(message);
        }
        let mut in_part = false;
        let mut begun = |sent: Result<(), Unsent>| {
            let sent = sent.map_err(|unsent| Unsent {
                in_part: unsent.in_part || in_part,
                ..unsent
            });
            in_part = true;
            sent
        };
        for blob in &message.blobs.0 {
            let kind = blob::kind(blob.width);
            begun(self.send_frame(kind, [blob.bytes(), &[]], &[]))?;
        }
        begun(self.send_frame(kind, [&message.bytes, more], &message.fds))
    }

    /// Makes room in the socket for a message with something large beside it.
    pub(crate) fn make_room(&self, message: &Outgoing<'_>) {
        let mut blobs = message.blobs.0.iter();
        if blobs.any(|blob| blob.bytes().len() >= LARGE) {
            // Without more room it takes longer.
            let _ = socket::widen(self.socket);
        }
    }

    /// Sends bytes as a message, and some more after them: in its frame, or if they are many, beside it.
    pub(crate) fn post_bytes(&self, kind: u8, bytes: &[u8], more: &[u8]) -> Result<(), Unsent> {
        if bytes.len() <= INLINE {
            return self.send_frame(kind, [bytes, more], &[]);
        }
        let mut message = Outgoing::default();
        message.blobs.lend(Width::One, bytes);
        self.post(kind, &message, more)
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
