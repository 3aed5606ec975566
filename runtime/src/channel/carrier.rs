//! What goes beside the messages of a queue: their descriptors, and the news that nobody is left at the other side.
//!
//! It is a pair of sockets. All senders hold one end, and all receivers the other, so that the kernel says to each side when the last
//! of the others is gone, however it went. A handle that is itself on its way counts as one who holds it.

use crate::sys::{
    socket,
    wait::{self, For},
};
use nix::errno::Errno;
use std::{
    io::{self, IoSlice, IoSliceMut},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Instant,
};

/// One end of it.
#[derive(Debug)]
pub(super) struct Carrier(OwnedFd);

impl Carrier {
    /// Makes both ends: that of the senders, and that of the receivers.
    pub(super) fn pair() -> io::Result<(Self, Self)> {
        let (senders, receivers) = socket::packet_pair()?;
        Ok((Self(senders), Self(receivers)))
    }

    /// Shares the end that another process has.
    pub(super) fn open(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Sends the packet of this number, whole or not at all. No room for it is `EAGAIN`.
    pub(super) fn send(&self, packet: u64, fds: &[OwnedFd]) -> io::Result<()> {
        socket::try_send(self.as_fd(), &[IoSlice::new(&packet.to_le_bytes())], fds)?;
        Ok(())
    }

    /// Receives the packet of this number; none if somebody has taken it and died. Packets of messages that were never sent are
    /// dropped on the way.
    pub(super) fn receive(&self, packet: u64) -> io::Result<Option<Vec<OwnedFd>>> {
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
                return Err(Errno::EMFILE.into());
            }
            if found == packet {
                return Ok(Some(fds));
            }
        }
    }

    /// Drops every packet there is.
    pub(super) fn drain(&self) {
        let mut number = [0; size_of::<u64>()];
        let mut buffer = [IoSliceMut::new(&mut number)];
        let mut take = || socket::try_receive(self.as_fd(), &mut buffer, &mut Vec::new());
        while take().is_ok_and(|received| received.bytes > 0) {}
    }

    /// Whether nobody is left at the other side.
    pub(super) fn is_alone(&self) -> io::Result<bool> {
        let ended = wait::until_ready(&[(self.as_fd(), For::End)], Some(Instant::now()))?;
        Ok(ended == [true])
    }
}

impl AsFd for Carrier {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
