//! The large answers of a child, and everything after them. What the parent receives while the
//! child is there goes through the socket. The rest is left in memory, for a parent that joins
//! later or never.
//!
//! A child that gets no such memory says so. Then the parent has what it receives at once, and the
//! rest is lost: a child never stays for its answers.

use crate::{
    start::message::reply::kind,
    sys::{
        abort, errno,
        fd::{AsFd, OwnedFd},
        memfd::{self, Memory},
        segment::Width,
        socket::{self, MAX_FDS},
    },
    wire::{Line, Outbox, Outgoing},
};
use std::{
    io::{self, IoSlice},
    time::Duration,
};

/// How long the child waits for a parent that receives nothing, before it leaves the rest in
/// memory.
const PATIENCE: Duration = Duration::from_millis(20);

/// How long the child waits for such a parent if there is no memory. The rest is lost after that.
const LAST_PATIENCE: Duration = Duration::from_secs(1);

/// The way of the answers to the parent.
#[derive(Debug)]
pub(super) struct Spill {
    /// The memory, or the errno.
    memory: Result<Memory, i32>,
    /// Takes the descriptors of the answers, and the reason why they break off.
    beside: io::Result<OwnedFd>,
    way: Way,
}

/// Where the next byte goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Line,
    Memory,
    /// The parent is gone, or there is no memory. The answers just end in the middle: the parent
    /// would take any message for a part of the one that is lost.
    Nowhere,
}

impl Spill {
    /// Announces the memory to the parent.
    pub(super) fn begin(line: &Line<'_>) -> Self {
        let mut fds = Vec::new();
        let created = memfd::create().map(|memory| fds.push(memory.into()));
        let created = created.map_err(|error| errno(&error));
        let beside = socket::packet_pair().map(|(ours, theirs)| {
            fds.push(theirs);
            ours
        });
        let bytes = created.err().map(i32::to_le_bytes);
        let bytes = bytes.as_ref().map_or(&[][..], |errno| errno);
        // There is room for this in the socket, unless the system has made it very small.
        let bounded = Line {
            stall: Some(LAST_PATIENCE),
            ..*line
        };
        let way = match bounded.send(kind::MEMORY, bytes, &fds) {
            Ok(()) => Way::Line,
            Err(_) => Way::Nowhere,
        };
        line.widen();
        let memory = created.map(|()| fds.swap_remove(0).into());
        Self {
            memory,
            beside,
            way,
        }
    }

    /// Sends a message. Returns after a bounded time, even if the parent receives nothing.
    ///
    /// Fails if its descriptors cannot be sent. Then nothing of it is sent but its blobs.
    pub(super) fn message(
        &mut self,
        line: &Line<'_>,
        kind: u8,
        message: &Outgoing<'_>,
    ) -> io::Result<()> {
        for blob in &message.blobs.waiting {
            self.blob(line, blob.width, blob.bytes());
        }
        self.send_descriptors(&message.fds)?;
        self.send(line, Outbox::apart(kind, &message.bytes, message.fds.len()));
        Ok(())
    }

    /// Sends a blob of the next message.
    pub(super) fn blob(&mut self, line: &Line<'_>, width: Width, bytes: &[u8]) {
        self.send(line, Outbox::blob(width, bytes));
    }

    fn send(&mut self, line: &Line<'_>, mut frame: Outbox<'_>) {
        if self.way == Way::Line {
            let patience = if self.memory.is_ok() {
                PATIENCE
            } else {
                LAST_PATIENCE
            };
            let hasty = Line {
                stall: Some(patience),
                ..*line
            };
            // Nothing may come between the bytes of a frame.
            abort::hush(true);
            match hasty.send_out(&mut frame) {
                Ok(()) => {
                    abort::hush(false);
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::TimedOut => self.way = Way::Memory,
                // The parent has given up the value.
                Err(_) => self.way = Way::Nowhere,
            }
        }
        if self.way == Way::Nowhere {
            return;
        }
        let written = match &mut self.memory {
            Ok(memory) => frame.write_out(memory).map_err(|error| errno(&error)),
            Err(errno) => Err(*errno),
        };
        if let Err(errno) = written {
            self.way = Way::Nowhere;
            if let Ok(beside) = &self.beside {
                // If this fails, the parent is gone, or takes this process for one that has ended.
                let reason = errno.to_le_bytes();
                let _ = socket::try_send(beside.as_fd(), &[IoSlice::new(&reason)], &[]);
            }
        }
    }

    fn send_descriptors(&self, fds: &[OwnedFd]) -> io::Result<()> {
        if fds.is_empty() {
            return Ok(());
        }
        let to = self.beside.as_ref();
        let to = to.map_err(|error| io::Error::from_raw_os_error(errno(error)))?;
        for group in fds.chunks(MAX_FDS) {
            socket::try_send(to.as_fd(), &[IoSlice::new(&[0])], group).map_err(|error| {
                match error.kind() {
                    // The socket is full.
                    io::ErrorKind::WouldBlock => io::Error::from_raw_os_error(errno::E2BIG),
                    _ => error,
                }
            })?;
        }
        Ok(())
    }
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(errno::EIO)
}
