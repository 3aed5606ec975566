//! Numbers of descriptors, which nothing has here.

macro_rules! as_raw_fd {
    ([$($generics:tt)*] $ty:ty) => {};
}
pub(crate) use as_raw_fd;
