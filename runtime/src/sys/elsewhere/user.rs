//! The user, the groups and the process group of this process, which stay as they are here.

use super::unsupported;
use std::io;

pub(crate) fn join_process_group(_: i32) -> io::Result<()> {
    unsupported()
}

pub(crate) fn set_groups(_: &[u32]) -> io::Result<()> {
    unsupported()
}

pub(crate) fn leave_groups() -> io::Result<()> {
    unsupported()
}

pub(crate) fn set_gid(_: u32) -> io::Result<()> {
    unsupported()
}

pub(crate) fn set_uid(_: u32) -> io::Result<()> {
    unsupported()
}
