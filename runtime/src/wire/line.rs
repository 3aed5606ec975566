//! A line: one end of the socket between a parent and its child, and the limits of waiting for the
//! other end. Frames are sent over it.

use super::{
    frame::{self, Frame, HEADER},
    inbox::{Inbox, Progress, Until},
    outbox::Outbox,
};
use crate::sys::{
    fd::{BorrowedFd, OwnedFd},
    socket, table,
    wait::{self, For},
};
use std::{
    fmt,
    io::{self, IoSlice},
    time::{Duration, Instant},
};

/// One end of the socket, and how long to wait for the other end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    pub(crate) socket: BorrowedFd<'a>,
    /// The process at the other end. When it is gone, waiting ends, even if a copy of it still
    /// holds the other end.
    pub(crate) peer: Option<BorrowedFd<'a>>,
    /// The longest time without any progress of the other side.
    pub(crate) stall: Option<Duration>,
    /// The deadline for everything, whatever the progress.
    pub(crate) until: Option<Instant>,
    /// Asked for the reason whenever the other side has made no progress for [`LOOK`].
    pub(crate) watch: Option<&'a dyn Watch>,
}

/// How often a line without progress asks its [`Watch`].
const LOOK: Duration = Duration::from_secs(1);

/// Knows what the other side of a line is doing.
pub(crate) trait Watch: fmt::Debug {
    /// Returns why the other side makes no progress.
    fn look(&self) -> Look;
}

/// Why the other side of a line makes no progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// The other side is slow.
    Slow,
    /// The other side runs code of the user's, which may take as long as the user allows.
    Busy,
    /// The other side is stopped, so waiting is useless. The error is
    /// [`io::ErrorKind::ResourceBusy`].
    Stopped,
}

/// Why a frame was not sent.
#[derive(Debug)]
pub(crate) struct SendFailure {
    pub(crate) cause: io::Error,
    /// Whether a part of it was sent. Then the receiver would take the next frame for the rest.
    pub(crate) in_part: bool,
}

impl From<SendFailure> for io::Error {
    fn from(unsent: SendFailure) -> Self {
        unsent.cause
    }
}

impl<'a> Line<'a> {
    /// Returns a line that waits for the other side without a limit.
    pub(crate) fn on(socket: BorrowedFd<'a>) -> Self {
        Self {
            socket,
            peer: None,
            stall: None,
            until: None,
            watch: None,
        }
    }
}

impl Line<'_> {
    /// Sends one frame.
    pub(crate) fn send(&self, kind: u8, bytes: &[u8], fds: &[OwnedFd]) -> io::Result<()> {
        Ok(self.send_frame(kind, [bytes, &[]], fds)?)
    }

    /// Sends one frame, whose bytes are in two parts.
    pub(super) fn send_frame(
        &self,
        kind: u8,
        bytes: [&[u8]; 2],
        fds: &[OwnedFd],
    ) -> Result<(), SendFailure> {
        let mut outbox = Outbox::new(kind, bytes, fds);
        self.send_out(&mut outbox).map_err(|cause| SendFailure {
            cause,
            in_part: outbox.is_begun(),
        })
    }

    /// Sends the rest of a frame.
    pub(crate) fn send_out(&self, outbox: &mut Outbox<'_>) -> io::Result<()> {
        while !outbox.give_out(self.socket)? {
            self.wait_for_room()?;
        }
        Ok(())
    }

    /// Sends a packet of bytes and descriptors that is no frame.
    pub(crate) fn send_packet(&self, bytes: &[u8], fds: &[OwnedFd]) -> io::Result<()> {
        loop {
            match socket::try_send(self.socket, &[IoSlice::new(bytes)], fds) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait_for_room()?,
                sent => return sent.map(drop),
            }
        }
    }

    fn wait_for_room(&self) -> io::Result<()> {
        if self.wait(For::Writing)? {
            Ok(())
        } else {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    /// Blocks until the next frame begins, and checks that this process has room for its
    /// descriptors. Fails with `EMFILE` if it has not. The frame stays in the socket.
    pub(crate) fn has_room_for_next(&self) -> io::Result<()> {
        let mut header = [0; HEADER];
        let mut last_try = false;
        loop {
            match socket::peek_into(self.socket, &mut header) {
                Ok(HEADER) => {
                    let fields = frame::fields(&header)?;
                    return table::has_room(self.socket, fields.descriptors);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !last_try => {
                    // The peer may have sent something after the read and before its end, so read
                    // once more.
                    last_try = !self.wait(For::Reading)?;
                }
                // The receive that follows reports any error.
                _ => return Ok(()),
            }
        }
    }

    /// Receives one frame. Returns `None` if the other side has ended between two frames.
    pub(crate) fn receive(&self) -> io::Result<Option<Frame>> {
        let mut inbox = Inbox::default();
        if self.fill(&mut inbox)? {
            return inbox.hand_over().map(Some);
        }
        Ok(None)
    }

    /// Receives the rest of a frame and returns `true`. Returns `false` if the other side has ended
    /// between two frames. Fails with [`io::ErrorKind::UnexpectedEof`] if it has ended within one.
    ///
    /// After an error, what has arrived is still in the inbox.
    pub(crate) fn fill(&self, inbox: &mut Inbox) -> io::Result<bool> {
        let mut last_try = false;
        loop {
            match inbox.take_in(self.socket, Until::Whole)? {
                Progress::Reached => return Ok(true),
                Progress::Ended => return Ok(false),
                Progress::Paused => {}
                Progress::Waiting if !last_try => {
                    // The peer may have sent something after the read and before its end, so read
                    // once more.
                    last_try = !self.wait(For::Reading)?;
                }
                Progress::Waiting if inbox.is_empty() => return Ok(false),
                Progress::Waiting => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }

    /// Blocks until the socket is ready, and returns `true`. Returns `false` if the peer has ended.
    pub(super) fn wait(&self, what: For) -> io::Result<bool> {
        let mut stalled = self.stall.and_then(wait::deadline);
        loop {
            let look = self.watch.and_then(|_| wait::deadline(LOOK));
            let deadline = [stalled, self.until, look].into_iter().flatten().min();
            let ready = match self.peer {
                Some(peer) => {
                    wait::until_ready(&[(self.socket, what), (peer, For::Reading)], deadline)?
                }
                None => wait::until_ready(&[(self.socket, what)], deadline)?,
            };
            match ready[..] {
                [true, ..] => return Ok(true),
                [_, true] => return Ok(false),
                _ => {}
            }
            match self.watch.map(Watch::look) {
                Some(Look::Busy) => stalled = self.stall.and_then(wait::deadline),
                Some(Look::Stopped) => return Err(io::ErrorKind::ResourceBusy.into()),
                Some(Look::Slow) | None => {}
            }
            let now = Instant::now();
            let is_over = |moment: Option<Instant>| moment.is_some_and(|moment| moment <= now);
            if is_over(stalled) || is_over(self.until) {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }
}

/// Whether the error says that the other side is gone.
pub(crate) fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

#[cfg(test)]
mod tests {
    use super::{HEADER, Line, Look, Watch};
    use crate::sys::socket::{self, MAX_FDS};
    use std::{
        cell::RefCell, fs::File, io, io::Write, os::fd::AsFd, os::fd::OwnedFd,
        os::unix::net::UnixStream, thread, time::Duration,
    };

    fn line(socket: &OwnedFd) -> Line<'_> {
        Line {
            stall: Some(Duration::from_secs(20)),
            ..Line::on(socket.as_fd())
        }
    }

    #[test]
    fn frame_arrives_as_it_was_sent() {
        let (here, there) = socket::pair().unwrap();
        let null = || OwnedFd::from(File::open("/dev/null").unwrap());
        for (length, descriptors) in [
            (0, 0),
            (1, 1),
            (HEADER, 0),
            ((3 << 20) + 7, 2),
            (10, 2 * MAX_FDS + 1),
        ] {
            let bytes: Vec<u8> = (0..length)
                .map(|index| u8::try_from(index % 251).unwrap())
                .collect();
            let fds: Vec<_> = (0..descriptors).map(|_| null()).collect();
            let frame = thread::scope(|scope| {
                scope.spawn(|| line(&there).send(7, &bytes, &fds).unwrap());
                line(&here).receive().unwrap().unwrap()
            });
            assert_eq!((frame.kind, frame.fds.len()), (7, descriptors));
            assert!(frame.bytes == bytes);
        }
        drop(there);
        assert!(line(&here).receive().unwrap().is_none());
    }

    #[test]
    fn end_in_mid_frame_is_an_error() {
        let mut whole = [0_u8; HEADER + 5];
        whole[8] = 5;
        for cut in 1..whole.len() {
            let (here, there) = socket::pair().unwrap();
            UnixStream::from(there).write_all(&whole[..cut]).unwrap();
            assert_eq!(
                line(&here).receive().unwrap_err().kind(),
                io::ErrorKind::UnexpectedEof,
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn announced_length_takes_no_memory() {
        let (here, there) = socket::pair().unwrap();
        let mut header = [0_u8; HEADER];
        header[8..16].copy_from_slice(&(1_u64 << 60).to_le_bytes());
        UnixStream::from(there).write_all(&header).unwrap();
        assert_eq!(
            line(&here).receive().unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }

    /// Returns the listed reasons, last one first. With the final one, the peer sends a frame.
    #[derive(Debug)]
    struct Looks<'a>(RefCell<Vec<Look>>, &'a OwnedFd);

    impl Watch for Looks<'_> {
        fn look(&self) -> Look {
            let mut looks = self.0.borrow_mut();
            let look = looks.pop().unwrap();
            if looks.is_empty() {
                line(self.1).send(7, &[], &[]).unwrap();
            }
            look
        }
    }

    #[test]
    fn line_waits_as_long_as_the_peer_is_busy() {
        let stall = Some(Duration::from_millis(1500));
        let receive = |looks: &[Look]| {
            let (here, there) = socket::pair().unwrap();
            let watch = Looks(RefCell::new(looks.to_vec()), &there);
            let line = Line {
                stall,
                watch: Some(&watch),
                ..Line::on(here.as_fd())
            };
            line.receive().map(|frame| frame.unwrap().kind)
        };
        assert_eq!(receive(&[Look::Busy; 3]).unwrap(), 7);
        let slow = receive(&[Look::Slow; 3]).unwrap_err();
        assert_eq!(slow.kind(), io::ErrorKind::TimedOut);
        let stopped = receive(&[Look::Stopped; 3]).unwrap_err();
        assert_eq!(stopped.kind(), io::ErrorKind::ResourceBusy);
    }

    #[test]
    fn silent_peer_is_waited_for_no_longer_than_asked() {
        let (here, _there) = socket::pair().unwrap();
        let line = Line {
            stall: Some(Duration::from_millis(1)),
            ..line(&here)
        };
        assert_eq!(line.receive().unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
