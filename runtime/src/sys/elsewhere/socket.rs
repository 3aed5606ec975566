//! A pair of connected sockets, which cannot be made here.

use super::{
    fd::{BorrowedFd, OwnedFd},
    unsupported,
};
use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
};

pub(crate) const MAX_FDS: usize = 253;

pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    unsupported()
}

pub(crate) fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    unsupported()
}

pub(crate) fn end_sending(_: BorrowedFd<'_>) -> io::Result<()> {
    unsupported()
}

pub(crate) fn has_something(_: BorrowedFd<'_>) -> bool {
    false
}

pub(crate) fn peek(_: BorrowedFd<'_>) -> io::Result<bool> {
    unsupported()
}

pub(crate) fn room(_: BorrowedFd<'_>) -> usize {
    0
}

pub(crate) fn is_read(_: BorrowedFd<'_>) -> io::Result<bool> {
    unsupported()
}

pub(crate) fn wait_for_something(_: BorrowedFd<'_>) -> io::Result<()> {
    unsupported()
}

pub(crate) fn peek_into(_: BorrowedFd<'_>, _: &mut [u8]) -> io::Result<usize> {
    unsupported()
}

pub(crate) fn end_receiving(_: BorrowedFd<'_>) -> io::Result<()> {
    unsupported()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Creator {
    pub(crate) pid: u32,
    pub(crate) uid: u32,
}

pub(crate) fn creator(_: BorrowedFd<'_>) -> io::Result<Option<Creator>> {
    unsupported()
}

pub(crate) fn try_send(_: BorrowedFd<'_>, _: &[IoSlice<'_>], _: &[OwnedFd]) -> io::Result<usize> {
    unsupported()
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    pub(crate) bytes: usize,
    pub(crate) is_short: bool,
}

pub(crate) fn try_receive(
    _: BorrowedFd<'_>,
    _: &mut [IoSliceMut<'_>],
    _: &mut Vec<OwnedFd>,
) -> io::Result<Received> {
    unsupported()
}

pub(crate) fn try_receive_into(_: BorrowedFd<'_>, _: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    unsupported()
}

pub(crate) fn widen(_: BorrowedFd<'_>) -> io::Result<()> {
    unsupported()
}
