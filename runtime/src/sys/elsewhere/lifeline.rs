//! Death by descriptor, which there is none of here.

use super::unsupported;
use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

pub(crate) fn arm(_: BorrowedFd<'_>) -> io::Result<()> {
    unsupported()
}

pub(crate) fn tie_copy(_: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    unsupported()
}
