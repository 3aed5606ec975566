//! Sends and receives the large contents (blobs) beside a message. They go before the frame of the
//! message, in the order in which its bytes count them, each in a frame of its own.

use super::{
    blob,
    codec::INLINE,
    line::{Line, SendFailure},
    message::Outgoing,
};
use crate::sys::{segment::Width, socket};
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
    pub(crate) fn post(
        &self,
        kind: u8,
        message: &Outgoing<'_>,
        more: &[u8],
    ) -> Result<(), SendFailure> {
        if !message.has_nothing_large() {
            self.make_room(message);
        }
        let mut in_part = false;
        let mut begun = |sent: Result<(), SendFailure>| {
            let sent = sent.map_err(|unsent| SendFailure {
                in_part: unsent.in_part || in_part,
                ..unsent
            });
            in_part = true;
            sent
        };
        for blob in &message.blobs.waiting {
            begun(self.send_blob(blob.width, blob.bytes()))?;
        }
        begun(self.send_frame(kind, [&message.bytes, more], &message.fds))
    }

    /// Sends a blob of the next message.
    pub(crate) fn send_blob(&self, width: Width, bytes: &[u8]) -> Result<(), SendFailure> {
        self.send_frame(blob::kind(width), [bytes, &[]], &[])
    }

    /// Enlarges the buffer of the socket if the message has a large blob.
    fn make_room(&self, message: &Outgoing<'_>) {
        let mut blobs = message.blobs.waiting.iter();
        if blobs.any(|blob| blob.bytes().len() >= LARGE) {
            self.widen();
        }
    }

    /// Enlarges the buffer of the socket.
    pub(crate) fn widen(&self) {
        // If this fails, sending only takes longer.
        let _ = socket::widen(self.socket);
    }

    /// Sends `bytes` and then `more` as one message. If there are many `bytes`, they go beside the
    /// message as a blob.
    pub(crate) fn post_bytes(
        &self,
        kind: u8,
        bytes: &[u8],
        more: &[u8],
    ) -> Result<(), SendFailure> {
        if bytes.len() <= INLINE {
            return self.send_frame(kind, [bytes, more], &[]);
        }
        let mut message = Outgoing::default();
        message.blobs.lend(Width::One, bytes);
        self.post(kind, &message, more)
    }
}
