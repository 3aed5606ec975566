//! Pipes, which are not made here: nobody would be at the other end.

use super::unsupported;
use std::{io, os::fd::OwnedFd};

pub(crate) fn make() -> io::Result<(OwnedFd, OwnedFd)> {
    unsupported()
}
