//! The end of the process.

use super::unsupported;
use std::{io, process};

pub(crate) fn at_exit(_: extern "C" fn()) -> io::Result<()> {
    unsupported()
}

pub(crate) fn now(status: i32) -> ! {
    process::exit(status)
}
