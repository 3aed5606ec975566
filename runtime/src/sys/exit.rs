//! The normal end of the process: [atexit(3)](https://man7.org/linux/man-pages/man3/atexit.3.html).

use std::io;

/// Registers `act` to be called when `main` returns or panics, or when `exit` is called.
///
/// It is not called when the process ends by `_exit`, `abort`, a signal or `exec`. A process made
/// by a bare `fork` inherits the registration.
pub(crate) fn at_exit(act: extern "C" fn()) -> io::Result<()> {
    // SAFETY: `act` is a function, which lives as long as the program, and the call takes nothing
    // else.
    match unsafe { libc::atexit(act) } {
        0 => Ok(()),
        _ => Err(io::ErrorKind::OutOfMemory.into()),
    }
}

/// Ends the process at once: no registered function is called, and no buffer is written.
pub(crate) fn now(status: i32) -> ! {
    // SAFETY: the call takes an integer and never returns.
    unsafe { libc::_exit(status) }
}
