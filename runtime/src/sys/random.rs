//! Randomness from the kernel:
//! [getrandom(2)](https://man7.org/linux/man-pages/man2/getrandom.2.html).

use nix::errno::Errno;
use std::io;

/// Fills `bytes` with random bytes that are fit for keys.
pub(crate) fn fill(mut bytes: &mut [u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        // SAFETY: the pointer and the length are those of a slice that is ours to write to.
        let filled = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
        match Errno::result(filled) {
            Ok(filled) => bytes = &mut bytes[filled.cast_unsigned()..],
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}
