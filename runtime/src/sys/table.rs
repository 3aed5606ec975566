//! The table of descriptors of this process.

use nix::{
    errno::Errno,
    sys::resource::{Resource, getrlimit},
};
use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

/// Checks that the table has room for `count` more descriptors at this moment: it makes that many
/// copies of `fd`, and closes them. Fails with `EMFILE` if there is no room.
pub(crate) fn has_room(fd: BorrowedFd<'_>, count: usize) -> io::Result<()> {
    let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if count as u64 > limit {
        return Err(Errno::EMFILE.into());
    }
    let copies: io::Result<Vec<OwnedFd>> = (0..count).map(|_| fd.try_clone_to_owned()).collect();
    copies.map(drop)
}
