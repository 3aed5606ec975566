//! Sockets that listen at an address, and sockets that connect to one: none here.

use super::{fd::BorrowedFd, unsupported};
use std::{
    io,
    os::unix::net::{SocketAddr, UnixStream},
    time::Instant,
};

pub(crate) fn set_backlog(_: BorrowedFd<'_>, _: u32) -> io::Result<()> {
    unsupported()
}

pub(crate) fn is_stream(_: BorrowedFd<'_>) -> bool {
    false
}

pub(crate) fn connect_unix(_: &SocketAddr, _: Option<Instant>) -> io::Result<UnixStream> {
    unsupported()
}

pub(crate) fn from_abstract_name(_: &[u8]) -> io::Result<SocketAddr> {
    unsupported()
}

pub(crate) fn abstract_name(_: &SocketAddr) -> Option<&[u8]> {
    None
}

pub(crate) fn try_receive_bytes(_: BorrowedFd<'_>, _: &mut [u8]) -> io::Result<usize> {
    unsupported()
}
