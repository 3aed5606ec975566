//! Numbers of descriptors, for code that knows no [`AsFd`](std::os::fd::AsFd).

/// Implements [`AsRawFd`](std::os::fd::AsRawFd) for a type that has `AsFd`. The type, with its
/// generics in brackets before it, is written as in an impl.
macro_rules! as_raw_fd {
    ([$($generics:tt)*] $ty:ty) => {
        impl<$($generics)*> std::os::fd::AsRawFd for $ty {
            /// Returns the number of the descriptor that `as_fd` returns, which stays owned by this
            /// value.
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(self))
            }
        }
    };
}
pub(crate) use as_raw_fd;
