//! The replies of a child, as its parent receives them.

use crate::{
    start::message::{
        failure::{Failure, FailureKind},
        reply::{Reply, kind},
    },
    sys::{
        errno,
        fd::{AsFd, OwnedFd},
        memfd,
        socket::{self, MAX_FDS},
        table,
    },
    wire::{Frame, Inbox, Line, Progress, Source, Until},
};
use std::{
    fs::File,
    io::{self, IoSliceMut, Seek},
};

/// Receives the replies of one child. What has arrived of a reply stays here, so receiving it can
/// go on after an error.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    inbox: Inbox,
    /// What the child has left for the time after the end of the line. `None` if it has announced
    /// nothing.
    left: Option<Left>,
    /// A reply whose descriptors did not fit into our table.
    waiting: Option<Frame>,
}

/// What a child has left.
#[derive(Debug)]
struct Left {
    /// The memory, or the errno for which there is none.
    memory: Result<File, i32>,
    /// Has the descriptors of the replies, and the reason why they break off.
    beside: Option<OwnedFd>,
    /// Whether the line has ended, and reading the memory has begun.
    is_begun: bool,
}

/// What came instead of a frame.
enum Nothing {
    /// The child is gone and has sent no more.
    Ended,
    /// The child could not leave the rest of a reply.
    Lost(Failure),
    NoRoom(io::Error),
}

impl Replies {
    /// Receives the next reply. Returns `None` if the child is gone and has sent no more.
    pub(crate) fn next(&mut self, line: &Line<'_>) -> io::Result<Option<Reply>> {
        loop {
            let mut frame = match self.waiting.take() {
                Some(frame) => frame,
                None => match self.frame(line)? {
                    Ok(frame) => frame,
                    Err(Nothing::Ended) => return Ok(None),
                    Err(Nothing::Lost(failure)) => return Ok(Some(Reply::Unsendable(failure))),
                    Err(Nothing::NoRoom(error)) => return Ok(Some(Reply::NoRoom(error))),
                },
            };
            if frame.kind == kind::MEMORY {
                if self.left.is_some() {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                self.left = Some(Left::announced(frame)?);
                continue;
            }
            if frame.apart > 0 {
                let left = self.left.as_ref().ok_or(io::ErrorKind::InvalidData)?;
                match left.descriptors(frame.apart)? {
                    Ok(fds) => frame.fds = fds,
                    Err(no_room) => {
                        self.waiting = Some(frame);
                        return Ok(Some(Reply::NoRoom(no_room)));
                    }
                }
            }
            return Reply::try_from(frame).map(Some);
        }
    }

    /// Receives the next frame: from the line, and after its end from the memory.
    fn frame(&mut self, line: &Line<'_>) -> io::Result<Result<Frame, Nothing>> {
        let is_begun = self.left.as_ref().is_some_and(|left| left.is_begun);
        if !is_begun {
            if self.inbox.is_empty()
                && let Err(error) = line.has_room_for_next()
            {
                return match error.raw_os_error() {
                    Some(errno::EMFILE) => Ok(Err(Nothing::NoRoom(error))),
                    _ => Err(error),
                };
            }
            match line.fill(&mut self.inbox) {
                Ok(true) => return self.inbox.hand_over().map(Ok),
                Ok(false) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
                Err(error) => return Err(error),
            }
        }
        let is_whole = self.inbox.is_empty();
        let memory = match &mut self.left {
            Some(Left {
                memory: Ok(memory),
                is_begun,
                ..
            }) => {
                if !*is_begun {
                    memory.rewind()?;
                    *is_begun = true;
                }
                &*memory
            }
            _ if is_whole => return Ok(Err(Nothing::Ended)),
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
            Some(left) => return left.broken_off().map(Err),
        };
        loop {
            match self.inbox.take_in(Source::Memory(memory), Until::Whole) {
                Ok(Progress::Reached) => return self.inbox.hand_over().map(Ok),
                Ok(Progress::Ended) => return Ok(Err(Nothing::Ended)),
                Ok(Progress::Paused | Progress::Waiting) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(error),
            }
        }
        let left = self.left.as_ref().ok_or(io::ErrorKind::InvalidData)?;
        left.broken_off().map(Err)
    }
}

impl Left {
    /// The child need not have told the truth. So only memory is read, which never blocks a reader.
    fn announced(frame: Frame) -> io::Result<Self> {
        let mut fds = frame.fds.into_iter();
        let memory = if frame.bytes.is_empty() {
            let memory = fds.next().ok_or(io::ErrorKind::InvalidData)?;
            memfd::check(&memory)?;
            Ok(memory.into())
        } else {
            let errno = frame.bytes.try_into();
            Err(i32::from_le_bytes(
                errno.map_err(|_| io::ErrorKind::InvalidData)?,
            ))
        };
        Ok(Self {
            memory,
            beside: fds.next(),
            is_begun: false,
        })
    }

    /// Takes the descriptors of a reply. Fails with the inner error, and takes nothing, if this
    /// process has no room for them.
    fn descriptors(&self, count: usize) -> io::Result<io::Result<Vec<OwnedFd>>> {
        let from = self.beside.as_ref().ok_or(io::ErrorKind::InvalidData)?;
        if let Err(error) = table::has_room(from.as_fd(), count) {
            return Ok(Err(error));
        }
        let (mut fds, mut byte) = (Vec::new(), [0]);
        while fds.len() < count {
            let before = fds.len();
            let expected = (count - before).min(MAX_FDS);
            let buffer = IoSliceMut::new(&mut byte);
            let received = socket::try_receive(from.as_fd(), &mut [buffer], &mut fds)?;
            if received.is_short {
                return Err(io::Error::from_raw_os_error(errno::EMFILE));
            }
            if fds.len() - before != expected {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        Ok(Ok(fds))
    }

    /// Returns what is known of replies that end in the middle: either the child says that it could
    /// not leave the rest, or it has ended at that moment.
    fn broken_off(&self) -> io::Result<Nothing> {
        let errno = match (&self.beside, &self.memory) {
            (Some(beside), _) => loop {
                let mut bytes = [0; size_of::<i32>()];
                let buffer = IoSliceMut::new(&mut bytes);
                // The descriptors of what is lost are closed.
                match socket::try_receive(beside.as_fd(), &mut [buffer], &mut Vec::new()) {
                    Ok(received) if received.bytes == bytes.len() => {
                        break Some(i32::from_le_bytes(bytes));
                    }
                    Ok(received) if received.bytes > 0 => {}
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                    Ok(_) | Err(_) => break None,
                }
            },
            (None, memory) => memory.as_ref().err().copied(),
        };
        Ok(errno.map_or(Nothing::Ended, |errno| {
            Nothing::Lost(Failure {
                kind: FailureKind::Os,
                what: "nobody read it when it was sent, and there was no memory for it".to_owned(),
                errno: Some(errno),
                cause: None,
            })
        }))
    }
}
