//! A connected TCP or Unix socket.

use super::{Address, Error, ErrorKind, Result};
use crate::sys::{
    endpoint,
    fd::{AsFd, BorrowedFd, OwnedFd},
};
use std::{io, net::TcpStream, os::unix::net::UnixStream};

/// A socket that is connected to a peer.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Takes a connected stream socket that somebody else has made.
    pub(super) fn connected(fd: OwnedFd) -> Result<Self> {
        Error::check_support()?;
        let socket = if endpoint::is_stream(fd.as_fd()) {
            Self::try_from(fd)
        } else {
            Err(io::ErrorKind::Unsupported.into())
        };
        socket.map_err(|source| {
            let what = "the descriptor is no stream socket of TCP or Unix";
            Error::new(ErrorKind::Io, what).because(source)
        })
    }

    /// Returns the address of the peer, if it has one.
    pub(super) fn peer_address(&self) -> Option<Address> {
        // A TCP peer that has closed the connection has no address. The next read shows the end.
        match self {
            Self::Tcp(socket) => socket.peer_addr().ok().map(Address::from),
            Self::Unix(socket) => Address::from_unix(&socket.peer_addr().ok()?),
        }
    }

    /// Whether this socket can carry descriptors.
    pub(super) fn carries_descriptors(&self) -> bool {
        matches!(self, Self::Unix(_))
    }
}

impl TryFrom<OwnedFd> for Socket {
    type Error = io::Error;

    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        let unix = UnixStream::from(fd);
        if unix.local_addr().is_ok() {
            return Ok(Self::Unix(unix));
        }
        let tcp = TcpStream::from(OwnedFd::from(unix));
        tcp.local_addr()?;
        Ok(Self::Tcp(tcp))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}
