//! The numbers of errors, and the variable in which the C library keeps that of the last one.

pub(crate) use libc::{
    E2BIG, EACCES, EAGAIN, EBADF, EBUSY, ECHILD, ECONNABORTED, EDEADLK, EEXIST, EFBIG, EHOSTDOWN,
    EHOSTUNREACH, EINVAL, EIO, EMFILE, ENETDOWN, ENETUNREACH, ENFILE, ENOBUFS, ENOENT, ENOMEM,
    ENONET, ENOPROTOOPT, ENOSYS, ENOTSOCK, EPERM, EPROTO, ETOOMANYREFS,
};
#[cfg(feature = "sync")]
use nix::errno::Errno;

/// Does something and leaves `errno` as it was, as the handler of a signal must.
#[cfg(feature = "sync")]
pub(crate) fn kept<R>(act: impl FnOnce() -> R) -> R {
    let before = Errno::last_raw();
    let done = act();
    Errno::set_raw(before);
    done
}
