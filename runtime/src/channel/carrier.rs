//! The sockets of a queue: they carry the descriptors of messages, and tell each side when the
//! other side is gone.
//!
//! A carrier is one end of a socket pair. All senders hold one end, and all receivers hold the
//! other. So the kernel tells each side when the last handle of the other side is closed, also if
//! its process was killed. A handle that is still inside a message counts as held.

use crate::sys::{
    errno,
    fd::{AsFd, BorrowedFd, OwnedFd},
    socket,
    wait::{self, For},
};
use std::{
    io::{self, IoSlice, IoSliceMut},
    time::Instant,
};

/// One end of the socket pair of a queue.
#[derive(Debug)]
pub(crate) struct Carrier(OwnedFd);

impl Carrier {
    /// Makes both ends: the end of the senders and the end of the receivers.
    pub(crate) fn pair() -> io::Result<(Self, Self)> {
        let (senders, receivers) = socket::packet_pair()?;
        Ok((Self(senders), Self(receivers)))
    }

    /// Shares an end that another process holds.
    pub(crate) fn open(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Sends packet number `packet`, whole or not at all. Fails with `EAGAIN` if the socket has no
    /// room.
    pub(crate) fn send(&self, packet: u64, fds: &[OwnedFd]) -> io::Result<()> {
        socket::try_send(self.as_fd(), &[IoSlice::new(&packet.to_le_bytes())], fds)?;
        Ok(())
    }

    /// Receives packet number `packet`. Returns `None` if a receiver took it and died. Drops the
    /// packets before it: they belong to messages that were never sent.
    pub(crate) fn receive(&self, packet: u64) -> io::Result<Option<Vec<OwnedFd>>> {
        loop {
            let mut number = [0; size_of::<u64>()];
            let length = match socket::peek_into(self.as_fd(), &mut number) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            };
            let found = u64::from_le_bytes(number);
            if length == 0 || (length == number.len() && found > packet) {
                return Ok(None);
            }
            let mut fds = Vec::new();
            let mut buffer = [IoSliceMut::new(&mut number)];
            let received = socket::try_receive(self.as_fd(), &mut buffer, &mut fds)?;
            if found == packet && received.is_short {
                return Err(io::Error::from_raw_os_error(errno::EMFILE));
            }
            if found == packet {
                return Ok(Some(fds));
            }
        }
    }

    /// Drops all packets in the socket.
    pub(super) fn drain(&self) {
        let mut number = [0; size_of::<u64>()];
        let mut buffer = [IoSliceMut::new(&mut number)];
        let mut take = || socket::try_receive(self.as_fd(), &mut buffer, &mut Vec::new());
        while take().is_ok_and(|received| received.bytes > 0) {}
    }

    /// Whether no handle of the other side is open.
    pub(super) fn is_alone(&self) -> io::Result<bool> {
        let ended = wait::until_ready(&[(self.as_fd(), For::End)], Some(Instant::now()))?;
        Ok(ended == [true])
    }
}

impl From<Carrier> for OwnedFd {
    fn from(carrier: Carrier) -> Self {
        carrier.0
    }
}

impl AsFd for Carrier {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
