//! Death by descriptor, which there is none of here.

use super::{
    fd::{BorrowedFd, OwnedFd},
    unsupported,
};
use std::io;

pub(crate) fn arm(_: BorrowedFd<'_>) -> io::Result<()> {
    unsupported()
}

pub(crate) fn tie_copy(_: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    unsupported()
}
