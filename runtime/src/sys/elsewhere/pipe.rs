//! Pipes, which are not made here: nobody would be at the other end.

use super::{fd::OwnedFd, unsupported};
use std::io;

pub(crate) fn make() -> io::Result<(OwnedFd, OwnedFd)> {
    unsupported()
}
