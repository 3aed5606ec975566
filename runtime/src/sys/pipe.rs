//! Pipes: [pipe(2)](https://man7.org/linux/man-pages/man2/pipe.2.html).

use std::{io, os::fd::OwnedFd};

/// Creates a pipe, closed on exec. Returns its read end and its write end.
pub(crate) fn make() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = io::pipe()?;
    Ok((reader.into(), writer.into()))
}
