//! Running an executable in a new process, which is not possible here.

use super::unsupported;
use std::{
    ffi::{CStr, CString},
    io,
    os::fd::BorrowedFd,
};

pub(crate) fn launch(
    _: &CStr,
    _: &[CString],
    _: &[CString],
    _: [BorrowedFd<'_>; 3],
) -> io::Result<u32> {
    unsupported()
}
