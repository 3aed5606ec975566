//! The three standard descriptors, which stay as they are here.

use super::{
    fd::{BorrowedFd, OwnedFd},
    unsupported,
};
use std::io;

pub(crate) fn replace(_: i32, _: BorrowedFd<'_>) -> io::Result<()> {
    unsupported()
}

pub(crate) fn open_to_write(_: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    unsupported()
}

pub(crate) fn working_directory() -> io::Result<OwnedFd> {
    unsupported()
}

pub(crate) fn set_working_directory(_: BorrowedFd<'_>) -> io::Result<()> {
    unsupported()
}

pub(crate) fn take_stdin() -> io::Result<OwnedFd> {
    unsupported()
}

pub(crate) fn replace_input_by_null() -> io::Result<()> {
    unsupported()
}

pub(crate) fn null() -> io::Result<OwnedFd> {
    unsupported()
}

pub(crate) fn replace_all_by_null() -> io::Result<()> {
    unsupported()
}

pub(crate) fn above_standard(_: OwnedFd) -> io::Result<OwnedFd> {
    unsupported()
}

pub(crate) fn fill_gaps() -> io::Result<()> {
    unsupported()
}
