//! Running an executable in a new process, which is not possible here.

use super::{fd::BorrowedFd, unsupported};
use std::{
    ffi::{CStr, CString},
    io,
};

pub(crate) fn launch(
    _: &CStr,
    _: &[CString],
    _: &[CString],
    _: [BorrowedFd<'_>; 3],
) -> io::Result<u32> {
    unsupported()
}
