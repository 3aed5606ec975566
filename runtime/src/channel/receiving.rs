//! The receiving half of a connection: collects a message and turns it into a value or bytes.

use super::RecvError;
use crate::{
    error::{Error, ErrorKind},
    sys::{fd::BorrowedFd, socket},
    wire::{Frame, Inbox, Incoming, Progress, Transfer, Until},
};
use std::io;

/// The part of the next message that has arrived.
#[derive(Debug)]
pub(super) struct Receiving {
    inbox: Inbox,
    state: State,
}

#[derive(Debug)]
enum State {
    Sound,
    /// The stream is damaged, and the caller has not been told yet.
    Broken(Error),
    /// The stream is damaged or closed, and the caller has been told.
    Over,
}

/// The kinds of messages.
pub(super) mod kind {
    pub(in super::super) const VALUE: u8 = 1;
    pub(in super::super) const BYTES: u8 = 2;
}

/// Sent after a message of bytes, so that an empty message has a byte too.
pub(super) const TRAILER: [u8; 1] = [0];

impl Receiving {
    pub(super) fn new() -> Self {
        Self {
            inbox: Inbox::of_frames_with_bytes(),
            state: State::Sound,
        }
    }

    /// Whether no part of the next message has arrived.
    pub(super) fn is_empty(&self) -> bool {
        self.inbox.is_empty()
    }

    /// Takes in what has arrived of the next message. If it is a message of bytes, and has more
    /// than `most`, fails and leaves the rest of it in the socket, so that it can be received
    /// later.
    pub(super) fn take_in(
        &mut self,
        socket: BorrowedFd<'_>,
        most: Option<usize>,
    ) -> Result<Progress, RecvError> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Sound => self.state = State::Sound,
            State::Broken(error) => return Err(RecvError::Failed(error)),
            State::Over => return Err(RecvError::Disconnected),
        }
        let Some(most) = most else {
            return self.advance(socket, Until::Whole);
        };
        let progress =
            self.advance(socket, Until::WholeUpTo(most.saturating_add(TRAILER.len())))?;
        match self.inbox.announced() {
            Some((kind, length))
                if progress == Progress::Reached && length - TRAILER.len() > most =>
            {
                if kind != kind::BYTES {
                    return self.advance(socket, Until::Whole);
                }
                let what = format!(
                    "a message of {} bytes does not fit into a buffer of {most}",
                    length - TRAILER.len()
                );
                Err(RecvError::Failed(Error::new(
                    ErrorKind::BufferTooShort,
                    what,
                )))
            }
            _ => Ok(progress),
        }
    }

    /// Takes in what has arrived of the next message, except its last byte. Returns `Reached` if
    /// receiving would not block: a whole message has arrived, or an error or the end of the
    /// stream.
    pub(super) fn look(&mut self, socket: BorrowedFd<'_>) -> Progress {
        if !matches!(self.state, State::Sound) {
            return Progress::Reached;
        }
        match self.advance(socket, Until::LastByte) {
            Ok(Progress::Ended) | Err(RecvError::Disconnected | RecvError::Truncated) => {
                Progress::Reached
            }
            Ok(progress) => progress,
            Err(RecvError::Failed(error)) => {
                self.state = State::Broken(error);
                Progress::Reached
            }
        }
    }

    fn advance(&mut self, socket: BorrowedFd<'_>, until: Until) -> Result<Progress, RecvError> {
        self.inbox.take_in(socket, until).map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                return RecvError::Truncated;
            }
            // The start of the next message is unknown. Drop what has arrived of this one, and tell
            // the sender.
            self.inbox = Inbox::of_frames_with_bytes();
            self.state = State::Over;
            // This fails only if the other end is closed, and then there is no sender to tell.
            let _ = socket::end_receiving(socket);
            RecvError::Failed(unreadable(error))
        })
    }

    pub(super) fn hand_over(&mut self) -> Result<Frame, RecvError> {
        let frame = self.inbox.hand_over();
        frame.map_err(|error| RecvError::Failed(unreadable(error)))
    }
}

fn unreadable(error: io::Error) -> Error {
    const WHAT: &str = "a message cannot be received";
    match error.kind() {
        io::ErrorKind::InvalidData => Error::new(ErrorKind::Decode, WHAT).because(error),
        _ => Error::os(WHAT, error),
    }
}

/// Decodes the value in a message.
pub(super) fn value<R: Transfer>(frame: Frame) -> Result<R, RecvError> {
    if frame.kind != kind::VALUE {
        return Err(unexpected("a value", frame.kind));
    }
    let mut message = Incoming::from(frame);
    let value = message
        .take::<R>()
        .and_then(|value| message.ready().map(|()| value));
    value.map_err(RecvError::Failed)
}

/// Returns the content of a message of bytes.
pub(super) fn bytes(frame: Frame) -> Result<Vec<u8>, RecvError> {
    if frame.kind != kind::BYTES {
        return Err(unexpected("bytes", frame.kind));
    }
    let Frame {
        mut bytes,
        mut blobs,
        fds,
        ..
    } = frame;
    bytes.truncate(bytes.len() - TRAILER.len());
    let whole = match (blobs.pop(), blobs.len(), bytes.len()) {
        _ if !fds.is_empty() => None,
        (None, _, _) => Some(bytes),
        (Some(blob), 0, 0) => blob.into_vec(),
        _ => None,
    };
    whole.ok_or_else(|| {
        let what = "bytes came in a form that is none of theirs";
        RecvError::Failed(Error::new(ErrorKind::Decode, what))
    })
}

fn unexpected(what: &str, kind: u8) -> RecvError {
    let came = match kind {
        kind::VALUE => "a value",
        kind::BYTES => "bytes",
        _ => "something unknown",
    };
    let what = format!("{came} came where {what} was to be received");
    RecvError::Failed(Error::new(ErrorKind::Decode, what))
}
