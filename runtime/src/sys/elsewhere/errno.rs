//! The numbers of errors. Nothing here returns them but std, whose errors are known by the oldest
//! ones: every Unix has these.

const fn on_unix(number: i32) -> i32 {
    // A number of another system has another meaning.
    if cfg!(unix) {
        number
    } else {
        i32::MIN + number
    }
}

pub(crate) const EPERM: i32 = on_unix(1);
pub(crate) const ENOENT: i32 = on_unix(2);
pub(crate) const EIO: i32 = on_unix(5);
pub(crate) const E2BIG: i32 = on_unix(7);
pub(crate) const EBADF: i32 = on_unix(9);
pub(crate) const ECHILD: i32 = on_unix(10);
pub(crate) const ENOMEM: i32 = on_unix(12);
pub(crate) const EACCES: i32 = on_unix(13);
pub(crate) const EBUSY: i32 = on_unix(16);
pub(crate) const EEXIST: i32 = on_unix(17);
pub(crate) const EINVAL: i32 = on_unix(22);
pub(crate) const ENFILE: i32 = on_unix(23);
pub(crate) const EMFILE: i32 = on_unix(24);
pub(crate) const EFBIG: i32 = on_unix(27);

// These have other numbers on other systems, and none of theirs is negative.
pub(crate) const EAGAIN: i32 = -1;
pub(crate) const ECONNABORTED: i32 = -2;
pub(crate) const EDEADLK: i32 = -3;
pub(crate) const EHOSTDOWN: i32 = -4;
pub(crate) const EHOSTUNREACH: i32 = -5;
pub(crate) const ENETDOWN: i32 = -6;
pub(crate) const ENETUNREACH: i32 = -7;
pub(crate) const ENOBUFS: i32 = -8;
pub(crate) const ENONET: i32 = -9;
pub(crate) const ENOPROTOOPT: i32 = -10;
pub(crate) const ENOSYS: i32 = -11;
pub(crate) const ENOTSOCK: i32 = -12;
pub(crate) const EPROTO: i32 = -13;
pub(crate) const ETOOMANYREFS: i32 = -14;

/// Does something and leaves `errno` as it was. What is done here does not change it.
#[cfg(feature = "sync")]
pub(crate) fn kept<R>(act: impl FnOnce() -> R) -> R {
    act()
}
