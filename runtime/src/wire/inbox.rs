//! Receives a frame without blocking, as far as it has arrived.

use super::{
    blob::{self, Arrived},
    frame::{Fields, Frame, HEADER, fields, invalid},
};
use crate::sys::{
    errno,
    fd::{BorrowedFd, OwnedFd},
    segment::Segment,
    socket::{self, MAX_FDS},
};
#[cfg(feature = "net")]
use std::cell::Cell;
use std::{
    fs::File,
    io::{self, IoSliceMut, Read, Seek},
};

/// What an inbox receives from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'s> {
    Socket(BorrowedFd<'s>),
    /// Memory that another process has written. It has no descriptors.
    Memory(&'s File),
    /// Bytes, of which the rest is kept here. They have no descriptors.
    #[cfg(feature = "net")]
    Bytes(&'s Cell<&'s [u8]>),
}

impl<'s> From<BorrowedFd<'s>> for Source<'s> {
    fn from(socket: BorrowedFd<'s>) -> Self {
        Self::Socket(socket)
    }
}

impl Source<'_> {
    /// Returns true if there is more, and false at the end.
    pub(super) fn peek(self) -> io::Result<bool> {
        match self {
            Self::Socket(socket) => socket::peek(socket),
            Self::Memory(mut file) => Ok(file.stream_position()? < file.metadata()?.len()),
            #[cfg(feature = "net")]
            Self::Bytes(bytes) => Ok(!bytes.get().is_empty()),
        }
    }

    fn receive(self, buffer: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<socket::Received> {
        match self {
            Self::Socket(socket) => {
                socket::try_receive(socket, &mut [IoSliceMut::new(buffer)], fds)
            }
            Self::Memory(mut file) => loop {
                match file.read(buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    read => {
                        return Ok(socket::Received {
                            bytes: read?,
                            is_short: false,
                        });
                    }
                }
            },
            #[cfg(feature = "net")]
            Self::Bytes(bytes) => {
                let (now, later) = bytes.get().split_at(bytes.get().len().min(buffer.len()));
                buffer[..now.len()].copy_from_slice(now);
                bytes.set(later);
                Ok(socket::Received {
                    bytes: now.len(),
                    is_short: false,
                })
            }
        }
    }

    fn fill(self, segment: &mut Segment) -> io::Result<usize> {
        match self {
            Self::Socket(socket) => segment.receive(socket),
            Self::Memory(file) => segment.read(file),
            #[cfg(feature = "net")]
            Self::Bytes(bytes) => {
                let count = segment.copy(bytes.get())?;
                bytes.set(&bytes.get()[count..]);
                Ok(count)
            }
        }
    }
}

/// The part of a frame, and of the blobs beside it, that has arrived.
///
/// It never reads beyond the end of the frame, so the socket is readable if and only if there is
/// more. It never blocks, and keeps what it has received. So a receiver can give up at any time and
/// go on later.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// The least number of bytes that a frame must have.
    least: usize,
    header: [u8; HEADER],
    /// How many bytes of the header have arrived.
    at: usize,
    /// What follows the header. `None` until the header is complete.
    content: Option<Content>,
    /// The blobs that have arrived.
    blobs: Vec<Arrived>,
    fds: Vec<OwnedFd>,
    /// Whether a descriptor was lost because the descriptor table was full.
    is_short: bool,
}

#[derive(Debug)]
enum Content {
    Blob(Segment),
    Body(Body),
}

#[derive(Debug)]
struct Body {
    kind: u8,
    length: usize,
    /// How many descriptors are still to come, after all of the bytes.
    descriptors: usize,
    /// How many descriptors are sent in another way.
    apart: usize,
    bytes: Vec<u8>,
    filled: usize,
}

/// How far to receive a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// Until all of it is here, or until it is known to have more than this many bytes: see
    /// [`Inbox::announced`].
    WholeUpTo(usize),
    /// Until its last byte can be received. That byte stays in the socket.
    LastByte,
    /// Until all of it is here.
    Whole,
}

/// How far receiving came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The goal is reached.
    Reached,
    /// The goal is not reached, and nothing more is there now.
    Waiting,
    /// The goal is not reached, and there may be more. The pause lets the caller look at a clock,
    /// however fast the sender is.
    Paused,
    /// The other side has ended, after a whole frame.
    Ended,
}

/// The memory that is first allocated for a body whose length was only announced. More is allocated
/// as bytes arrive.
const CHUNK: usize = 1 << 20;

/// The longest frame that is received in one call, after its header was peeked at.
const SHORT: usize = 4 << 10;

/// The number of reads before a pause. No socket buffer holds that many large pieces.
const STEPS: usize = 64;

impl Inbox {
    /// Returns an inbox that refuses frames without bytes, so that each frame has a last byte.
    pub(crate) fn of_frames_with_bytes() -> Self {
        Self {
            least: 1,
            ..Self::default()
        }
    }

    /// Whether nothing of a frame has arrived.
    pub(crate) fn is_empty(&self) -> bool {
        self.at == 0 && self.blobs.is_empty()
    }

    /// Returns the kind of the frame and its length, including the blobs, once they are known.
    pub(crate) fn announced(&self) -> Option<(u8, usize)> {
        let Some(Content::Body(body)) = &self.content else {
            return None;
        };
        let beside: usize = self.blobs.iter().map(Arrived::length).sum();
        Some((body.kind, beside.saturating_add(body.length)))
    }

    /// Receives what is there, without blocking.
    ///
    /// Fails if a frame cannot be received: nothing that follows in the socket has a meaning then.
    /// Fails with [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the other side ended in the
    /// middle of a frame.
    pub(crate) fn take_in<'s>(
        &mut self,
        from: impl Into<Source<'s>>,
        until: Until,
    ) -> io::Result<Progress> {
        let source = from.into();
        for _ in 0..STEPS {
            self.next_part()?;
            let missing = match &self.content {
                Some(Content::Body(body)) => Some(body.missing()),
                _ => None,
            };
            let is_enough = match (missing, until) {
                (Some(0), _) => return Ok(Progress::Reached),
                (Some(_), Until::WholeUpTo(most)) if self.has_more_than(most) => {
                    return Ok(Progress::Reached);
                }
                (Some(1), Until::LastByte) => true,
                _ => false,
            };
            let more = if is_enough {
                source.peek()
            } else {
                self.take_some(source, until)
            };
            match more {
                Ok(true) if is_enough => return Ok(Progress::Reached),
                Ok(true) => {}
                Ok(false) => return self.end(),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(Progress::Waiting),
                    // A peer that died with unread data of ours resets the connection. That is an
                    // end too.
                    io::ErrorKind::ConnectionReset => return self.end(),
                    _ => return Err(error),
                },
            }
        }
        Ok(Progress::Paused)
    }

    fn has_more_than(&self, most: usize) -> bool {
        self.announced().is_some_and(|(_, length)| length > most)
    }

    fn end(&self) -> io::Result<Progress> {
        if self.is_empty() {
            Ok(Progress::Ended)
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    /// Returns the frame, which must be whole, and prepares for the next one.
    ///
    /// Fails with `EMFILE` if descriptors were lost because the descriptor table was full. Only
    /// this frame is affected.
    ///
    /// # Panics
    ///
    /// Panics if the frame is not whole.
    pub(crate) fn hand_over(&mut self) -> io::Result<Frame> {
        let whole = std::mem::replace(
            self,
            Self {
                least: self.least,
                ..Self::default()
            },
        );
        let Some(Content::Body(body)) = whole.content else {
            panic!("what is handed over is whole");
        };
        if whole.is_short {
            return Err(io::Error::from_raw_os_error(errno::EMFILE));
        }
        Ok(Frame {
            kind: body.kind,
            bytes: body.bytes,
            blobs: whole.blobs,
            fds: whole.fds,
            apart: body.apart,
        })
    }

    /// Goes on to the next part if the current one is complete.
    fn next_part(&mut self) -> io::Result<()> {
        if self.content.is_none() && self.at == HEADER {
            self.content = Some(self.begin()?);
        }
        if let Some(Content::Blob(segment)) = &self.content
            && segment.is_full()
            && let Some(Content::Blob(segment)) = self.content.take()
        {
            self.blobs.push(segment);
            self.at = 0;
        }
        Ok(())
    }

    /// Returns what the header announces.
    fn begin(&self) -> io::Result<Content> {
        let Fields {
            kind,
            length,
            descriptors,
            apart,
        } = fields(&self.header)?;
        let first = descriptors.min(MAX_FDS);
        if !self.is_short && self.fds.len() != first {
            return Err(invalid("it has not the descriptors that it says"));
        }
        match blob::width(kind) {
            Some(_) if descriptors + apart != 0 => {
                Err(invalid("what is beside it has descriptors"))
            }
            Some(width) => Segment::new(width, length)
                .map(Content::Blob)
                .ok_or_else(|| invalid("what is beside it has an odd length")),
            None if length < self.least => Err(invalid("it is empty")),
            None => Ok(Content::Body(Body {
                kind,
                length,
                descriptors: descriptors - first,
                apart,
                bytes: Vec::new(),
                filled: 0,
            })),
        }
    }

    /// Receives a short frame in one call. Returns `None` if there is no short frame, and otherwise
    /// the same as [`take_some`](Self::take_some).
    fn take_short(&mut self, socket: BorrowedFd<'_>, until: Until) -> io::Result<Option<bool>> {
        let mut header = [0; HEADER];
        match socket::peek_into(socket, &mut header)? {
            0 => return Ok(Some(false)),
            HEADER => {}
            _ => return Ok(None),
        }
        let Fields {
            kind,
            length,
            descriptors,
            ..
        } = fields(&header)?;
        let most = match until {
            Until::WholeUpTo(most) => most.min(SHORT),
            Until::LastByte | Until::Whole => SHORT,
        };
        let is_short = (1..=most).contains(&length) && descriptors <= MAX_FDS;
        if !is_short || blob::width(kind).is_some() {
            return Ok(None);
        }
        let mut bytes = vec![0; length];
        let end = length - usize::from(until == Until::LastByte);
        let mut buffers = [&mut self.header[..], &mut bytes[..end]].map(IoSliceMut::new);
        let received = socket::try_receive(socket, &mut buffers, &mut self.fds)?;
        self.is_short |= received.is_short;
        self.at = received.bytes.min(HEADER);
        if self.at == HEADER {
            if self.header != header {
                return Err(invalid("another process has received some of it"));
            }
            let mut content = self.begin()?;
            if let Content::Body(body) = &mut content {
                body.bytes = bytes;
                body.filled = received.bytes - HEADER;
            }
            self.content = Some(content);
        }
        Ok(Some(received.bytes != 0))
    }

    /// Receives more. Returns `false` at the end of the stream.
    fn take_some(&mut self, source: Source<'_>, until: Until) -> io::Result<bool> {
        if self.is_empty()
            && let Source::Socket(socket) = source
            && let Some(took) = self.take_short(socket, until)?
        {
            return Ok(took);
        }
        let before = self.fds.len();
        let (room, due) = match &mut self.content {
            None => (&mut self.header[self.at..], None),
            // Descriptors that come with a blob are closed.
            Some(Content::Blob(segment)) => return Ok(source.fill(segment)? != 0),
            Some(Content::Body(body)) if body.filled < body.length => (body.room(until)?, Some(0)),
            Some(Content::Body(body)) => (&mut [0][..], Some(body.descriptors.min(MAX_FDS))),
        };
        let received = source.receive(room, &mut self.fds)?;
        if received.bytes == 0 {
            return Ok(false);
        }
        self.is_short |= received.is_short;
        if self.is_short {
            // The frame is lost, so let others use the descriptors.
            self.fds.clear();
        } else if due.is_some_and(|due| self.fds.len() - before != due) {
            return Err(invalid("it has not the descriptors that it says"));
        }
        match &mut self.content {
            Some(Content::Body(body)) if body.filled < body.length => {
                body.filled += received.bytes;
            }
            Some(Content::Body(body)) => body.descriptors -= due.unwrap_or_default(),
            _ => self.at += received.bytes,
        }
        Ok(true)
    }
}

impl Body {
    /// Returns how many bytes are still to come. Descriptors beyond the first [`MAX_FDS`] come in
    /// groups of [`MAX_FDS`], each group with one more byte.
    fn missing(&self) -> usize {
        let more = self.descriptors.div_ceil(MAX_FDS);
        (self.length - self.filled).saturating_add(more)
    }

    /// Returns the buffer for the next bytes.
    fn room(&mut self, until: Until) -> io::Result<&mut [u8]> {
        if self.filled == self.bytes.len() {
            let more = CHUNK.max(self.filled).min(self.length - self.filled);
            self.bytes
                .try_reserve_exact(more)
                .map_err(|_| io::Error::from_raw_os_error(errno::ENOMEM))?;
            self.bytes.resize(self.filled + more, 0);
        }
        let end = if until == Until::LastByte && self.descriptors == 0 {
            self.bytes.len().min(self.length - 1)
        } else {
            self.bytes.len()
        };
        Ok(&mut self.bytes[self.filled..end])
    }
}
