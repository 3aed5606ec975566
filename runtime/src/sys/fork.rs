//! Copying this process: [fork(2)](https://man7.org/linux/man-pages/man2/fork.2.html).

use super::alone::Alone;
use nix::errno::Errno;
use std::io;

/// Which side of a fork this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copied {
    /// The process that was copied. It has the id of the copy.
    Parent(u32),
    Child,
}

/// Copies this process, which has one thread.
///
/// The output buffers of C are written first, so that the copy does not write them again.
pub(crate) fn fork(_: &Alone) -> io::Result<Copied> {
    flush();
    // SAFETY: this is the only thread. So no other thread holds a lock or is in the middle of a
    // change, which would stay like that in the copy for ever.
    match Errno::result(unsafe { libc::fork() })? {
        0 => Ok(Copied::Child),
        id => Ok(Copied::Parent(id.cast_unsigned())),
    }
}

/// Writes the output buffers of C.
pub(crate) fn flush() {
    // SAFETY: a null pointer stands for every open stream.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}
