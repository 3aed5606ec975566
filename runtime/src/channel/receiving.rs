//! What comes to an end of a pipe, on its way to be a value or bytes.

use super::RecvError;
use crate::{
    Transfer,
    error::{Error, ErrorKind},
    sys::socket,
    wire::{Frame, Inbox, Incoming, Progress, Until},
};
use std::{io, os::fd::BorrowedFd};

/// What has come of the next message.
#[derive(Debug)]
pub(super) struct Receiving {
    inbox: Inbox,
    state: State,
}

#[derive(Debug)]
enum State {
    Sound,
    /// What comes has no meaning any more, of which nobody has been told yet.
    Broken(Error),
    /// Somebody has.
    Over,
}

/// The kinds of messages.
pub(super) mod kind {
    pub(in super::super) const VALUE: u8 = 1;
    pub(in super::super) const BYTES: u8 = 2;
}

/// What is sent after bytes, so that there is something of a message that has none.
pub(super) const TRAILER: [u8; 1] = [0];

impl Receiving {
    pub(super) fn new() -> Self {
        Self {
            inbox: Inbox::of_frames_with_bytes(),
            state: State::Sound,
        }
    }

    /// Whether nothing has come of it yet.
    pub(super) fn is_empty(&self) -> bool {
        self.inbox.is_empty()
    }

    /// Takes in what there is of a message, unless it turns out to be of more bytes than `most`.
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

    /// Takes in what there is of a message but its last byte. It is reached when receiving has something to tell at once.
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
            // Where the next message begins cannot be known. What has come of this one is given up, and the sender is told.
            self.inbox = Inbox::of_frames_with_bytes();
            self.state = State::Over;
            // Where it fails, the other side has ended.
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

/// The value in a message.
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

/// The bytes that are a message.
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
