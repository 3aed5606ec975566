//! Frames: a kind, bytes of any length and any number of descriptors, over a stream socket.

use super::{beside, blob::Arrived};
use crate::sys::{
    socket::{self, MAX_FDS},
    wait::{self, For},
};
use nix::errno::Errno;
use std::{
    io::{self, IoSlice},
    os::fd::{BorrowedFd, OwnedFd},
    time::Duration,
};

/// One message on the socket between a parent and its child.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) bytes: Vec<u8>,
    /// What came beside the bytes.
    pub(crate) blobs: Vec<Arrived>,
    pub(crate) fds: Vec<OwnedFd>,
}

/// One end of the socket, and how long to wait for the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    pub(crate) socket: BorrowedFd<'a>,
    /// The process at the other end: when it is gone there is nothing to wait for, though a copy of its end may live on.
    pub(crate) peer: Option<BorrowedFd<'a>>,
    /// How long the other side may make no progress at all.
    pub(crate) stall: Option<Duration>,
}

/// Kind, length of the bytes, number of descriptors: each in eight bytes, little-endian.
const HEADER: usize = 24;

/// How much room is made at once for bytes that were announced: a length is believed as far as bytes arrive.
const CHUNK: usize = 1 << 20;

impl Line<'_> {
    /// Sends one frame.
    pub(crate) fn send(&self, kind: u8, bytes: &[u8], fds: &[OwnedFd]) -> io::Result<()> {
        let mut header = [0; HEADER];
        for (field, value) in
            header
                .chunks_exact_mut(8)
                .zip([u64::from(kind), bytes.len() as u64, fds.len() as u64])
        {
            field.copy_from_slice(&value.to_le_bytes());
        }
        let mut fds = fds.chunks(MAX_FDS);
        let first = fds.next().unwrap_or_default();
        let mut sent = self.send_some(&[IoSlice::new(&header), IoSlice::new(bytes)], first)?;
        while sent < HEADER {
            sent += self.send_some(&[IoSlice::new(&header[sent..]), IoSlice::new(bytes)], &[])?;
        }
        let mut rest = &bytes[sent - HEADER..];
        while !rest.is_empty() {
            rest = &rest[self.send_some(&[IoSlice::new(rest)], &[])?..];
        }
        // A message carries so many descriptors and no more; each further one takes a byte to go beside.
        for fds in fds {
            self.send_some(&[IoSlice::new(&[0])], fds)?;
        }
        Ok(())
    }

    /// Sends some of the bytes, and all of the descriptors beside the first of them; returns how many bytes went.
    pub(crate) fn send_some(&self, bytes: &[IoSlice<'_>], fds: &[OwnedFd]) -> io::Result<usize> {
        loop {
            match socket::try_send(self.socket, bytes, fds) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !self.wait(For::Writing)? {
                        return Err(io::ErrorKind::BrokenPipe.into());
                    }
                }
                result => return result,
            }
        }
    }

    /// Receives one frame; none when the other side has ended between two.
    pub(crate) fn receive(&self) -> io::Result<Option<Frame>> {
        let (mut blobs, mut fds) = (Vec::new(), Vec::new());
        let (kind, length, descriptors) = loop {
            match self.receive_header(&mut fds) {
                Ok((kind, length, descriptors)) => match beside::width(kind) {
                    None => break (kind, length, descriptors),
                    Some(width) => blobs.push(self.receive_blob(width, length)?),
                },
                Err((0, error))
                    if error.kind() == io::ErrorKind::UnexpectedEof && blobs.is_empty() =>
                {
                    return Ok(None);
                }
                Err((_, error)) => return Err(error),
            }
        };
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let start = bytes.len();
            let more = CHUNK.max(start).min(length - start);
            bytes
                .try_reserve_exact(more)
                .map_err(|_| io::Error::from(Errno::ENOMEM))?;
            bytes.resize(start + more, 0);
            self.receive_exact(&mut bytes[start..], &mut fds)
                .map_err(|(_, error)| error)?;
        }
        while fds.len() < descriptors {
            let before = fds.len();
            self.receive_exact(&mut [0], &mut fds)
                .map_err(|(_, error)| error)?;
            if fds.len() == before {
                return Err(invalid("a descriptor is missing"));
            }
        }
        if fds.len() > descriptors {
            return Err(invalid("it has more descriptors than it says"));
        }
        Ok(Some(Frame {
            kind,
            bytes,
            blobs,
            fds,
        }))
    }

    /// Receives the kind of a frame, its length and the number of its descriptors, or says how much of them came before the error.
    fn receive_header(
        &self,
        fds: &mut Vec<OwnedFd>,
    ) -> Result<(u8, usize, usize), (usize, io::Error)> {
        let mut header = [0; HEADER];
        self.receive_exact(&mut header, fds)?;
        let mut fields = header
            .chunks_exact(8)
            .map(|field| u64::from_le_bytes(field.try_into().unwrap_or_default()));
        let mut field = || {
            usize::try_from(fields.next().unwrap_or_default())
                .map_err(|_| (HEADER, invalid("its length is absurd")))
        };
        let (kind, length, descriptors) = (field()?, field()?, field()?);
        let kind = u8::try_from(kind).map_err(|_| (HEADER, invalid("its kind is unknown")))?;
        Ok((kind, length, descriptors))
    }

    /// Fills `buffer`, or says how much of it was filled before the error.
    fn receive_exact(
        &self,
        buffer: &mut [u8],
        fds: &mut Vec<OwnedFd>,
    ) -> Result<(), (usize, io::Error)> {
        let mut filled = 0;
        let mut last_try = false;
        while filled < buffer.len() {
            match socket::try_receive(self.socket, &mut buffer[filled..], fds) {
                Ok(0) => return Err((filled, io::ErrorKind::UnexpectedEof.into())),
                Ok(received) => filled += received,
                // A peer that died with something of ours unread resets the connection: the end, all the same.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Err((filled, io::ErrorKind::UnexpectedEof.into()));
                }
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    return Err((filled, error));
                }
                Err(_) if last_try => return Err((filled, io::ErrorKind::UnexpectedEof.into())),
                // The peer may have sent something between our look at the socket and its end: look once more.
                Err(_) => last_try = !self.wait(For::Reading).map_err(|error| (filled, error))?,
            }
        }
        Ok(())
    }

    /// Waits until the socket is ready; returns whether the other side is still there.
    pub(super) fn wait(&self, what: For) -> io::Result<bool> {
        let deadline = self.stall.and_then(wait::deadline);
        let ready = match self.peer {
            Some(peer) => {
                wait::until_ready(&[(self.socket, what), (peer, For::Reading)], deadline)?
            }
            None => wait::until_ready(&[(self.socket, what)], deadline)?,
        };
        match ready[..] {
            [true, ..] => Ok(true),
            [_, true] => Ok(false),
            _ => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

pub(super) fn invalid(why: &'static str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("a malformed message arrived: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::{CHUNK, HEADER, Line, MAX_FDS};
    use crate::sys::socket;
    use std::{
        fs::File, io, io::Write, os::fd::AsFd, os::fd::OwnedFd, os::unix::net::UnixStream, thread,
        time::Duration,
    };

    fn line(socket: &OwnedFd) -> Line<'_> {
        Line {
            socket: socket.as_fd(),
            peer: None,
            stall: Some(Duration::from_secs(20)),
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
            (3 * CHUNK + 7, 2),
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
