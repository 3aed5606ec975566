//! The variable in which the C library keeps the number of the last error.

use nix::errno::Errno;

/// Does something and leaves `errno` as it was, as the handler of a signal must.
pub(crate) fn kept<R>(act: impl FnOnce() -> R) -> R {
    let before = Errno::last_raw();
    let done = act();
    Errno::set_raw(before);
    done
}
