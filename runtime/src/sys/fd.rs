//! Descriptors. This is every Unix's.

pub(crate) use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
