//! Memory that has a descriptor and no name: [memfd_create(2)](https://man7.org/linux/man-pages/man2/memfd_create.2.html).

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, SealFlag, fcntl},
    sys::memfd::{MFdFlags, memfd_create},
};
use std::{
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
};

/// Makes an empty one, closed on exec.
pub(crate) fn create() -> io::Result<File> {
    Ok(memfd_create(c"procession", MFdFlags::MFD_CLOEXEC)?.into())
}

/// Makes one that has this length for good: nobody who gets it can take away what others have mapped.
pub(crate) fn create_sealed(length: u64) -> io::Result<File> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let file = File::from(memfd_create(c"procession", flags)?);
    file.set_len(length)?;
    fcntl(&file, FcntlArg::F_ADD_SEALS(fixed_length()))?;
    Ok(file)
}

/// Makes sure that a descriptor is one of these, and not a file or pipe that would keep a reader waiting.
pub(crate) fn check(fd: &OwnedFd) -> io::Result<()> {
    seals(fd)?;
    Ok(())
}

/// Makes sure that a descriptor is one whose length cannot change, and returns that length.
pub(crate) fn check_sealed(fd: OwnedFd) -> io::Result<(File, u64)> {
    if !seals(&fd)?.contains(fixed_length()) {
        let what = "the memory is not sealed: its length could change";
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    let file = File::from(fd);
    // Only now, since only now it cannot change any more.
    let length = file.metadata()?.len();
    Ok((file, length))
}

/// Forbids everybody, for good, to write to it. Fails with `EBUSY` while somebody could: has it mapped so.
pub(crate) fn forbid_writing(file: &File) -> io::Result<()> {
    fcntl(file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_WRITE))?;
    Ok(())
}

/// Whether nobody can write to it, for good.
pub(crate) fn is_frozen(fd: impl AsFd) -> io::Result<bool> {
    Ok(seals(fd)?.contains(SealFlag::F_SEAL_WRITE))
}

fn fixed_length() -> SealFlag {
    SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW
}

/// Only memory has seals, and only of memory can they be asked.
fn seals(fd: impl AsFd) -> io::Result<SealFlag> {
    let seals = fcntl(fd, FcntlArg::F_GET_SEALS).map_err(|errno| match errno {
        Errno::EINVAL => {
            let what = "the descriptor is of something else than memory";
            io::Error::new(io::ErrorKind::InvalidData, what)
        }
        errno => errno.into(),
    })?;
    Ok(SealFlag::from_bits_truncate(seals))
}
