//! Memory that has a descriptor and no name: [memfd_create(2)](https://man7.org/linux/man-pages/man2/memfd_create.2.html).

use nix::{
    fcntl::{FcntlArg, fcntl},
    sys::memfd::{MFdFlags, memfd_create},
};
use std::{fs::File, io, os::fd::OwnedFd};

/// Makes an empty one, closed on exec.
pub(crate) fn create() -> io::Result<File> {
    Ok(memfd_create(c"procession", MFdFlags::MFD_CLOEXEC)?.into())
}

/// Makes sure that a descriptor is one of these, and not a file or pipe that would keep a reader waiting.
pub(crate) fn check(fd: &OwnedFd) -> io::Result<()> {
    // Only memory has seals, and only of memory can they be asked.
    fcntl(fd, FcntlArg::F_GET_SEALS)?;
    Ok(())
}
