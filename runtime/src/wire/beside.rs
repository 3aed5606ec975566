//! Sends and receives the large contents (blobs) beside a message. They go before the frame of the
//! message, in the order in which its bytes count them, each in a frame of its own.

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

/// The smallest blob for which asking for a larger socket buffer is worth a system call.
const LARGE: usize = 256 << 10;

impl Line<'_> {
    /// Sends the blobs of a message, then the message.
    pub(crate) fn send_message(&self, kind: u8, message: &Outgoing<'_>) -> io::Result<()> {
        Ok(self.post(kind, message, &[])?)
    }

    /// Sends the blobs of a message, then the message with `more` after its own bytes. If this
    /// fails, the error says whether anything was sent.
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

    /// Enlarges the buffer of the socket if the message has a large blob.
    pub(crate) fn make_room(&self, message: &Outgoing<'_>) {
        let mut blobs = message.blobs.0.iter();
        if blobs.any(|blob| blob.bytes().len() >= LARGE) {
            // If this fails, sending only takes longer.
            let _ = socket::widen(self.socket);
        }
    }

    /// Sends `bytes` and then `more` as one message. If there are many `bytes`, they go beside the
    /// message as a blob.
    pub(crate) fn post_bytes(&self, kind: u8, bytes: &[u8], more: &[u8]) -> Result<(), Unsent> {
        if bytes.len() <= INLINE {
            return self.send_frame(kind, [bytes, more], &[]);
        }
        let mut message = Outgoing::default();
        message.blobs.lend(Width::One, bytes);
        self.post(kind, &message, more)
    }

    /// Receives bytes into the segment and returns how many. Zero means the end.
    pub(crate) fn receive_some(&self, segment: &mut Segment) -> io::Result<usize> {
        let mut last_try = false;
        loop {
            match segment.receive(self.socket) {
                // A peer that died with unread data resets the connection. That is an end too.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(0),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Err(_) if last_try => return Ok(0),
                Err(_) => last_try = !self.wait(For::Reading)?,
                Ok(count) => return Ok(count),
            }
        }
    }
}
