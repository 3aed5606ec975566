//! Signals of this process and thread, which are left alone here.

use super::unsupported;
use std::{convert::Infallible, io, process::ExitStatus, time::Duration};

pub(crate) const SIGKILL: i32 = 9;
pub(crate) const SIGTERM: i32 = 15;
// These have other numbers on other systems, and nobody is sent them.
pub(crate) const SIGCONT: i32 = -1;
pub(crate) const SIGSTOP: i32 = -2;
pub(crate) const SIGXCPU: i32 = -3;

pub(crate) type Mask = u64;

pub(crate) fn mask() -> io::Result<Mask> {
    unsupported()
}

pub(crate) fn set_mask(_: Mask) -> io::Result<()> {
    unsupported()
}

pub(crate) fn ignore_broken_pipes() -> io::Result<()> {
    unsupported()
}

pub(crate) fn change_ignored(_: Mask, _: Mask) -> io::Result<()> {
    unsupported()
}

pub(crate) fn without_requests_to_end(mask: Mask) -> Mask {
    mask
}

pub(crate) fn discards_children() -> io::Result<bool> {
    unsupported()
}

pub(crate) fn heed(_: i32) -> io::Result<()> {
    unsupported()
}

#[derive(Debug)]
pub(crate) struct Fuse(Infallible);

impl Fuse {
    pub(crate) fn new(_: Duration) -> io::Result<Self> {
        unsupported()
    }
}

pub(crate) fn kill_after(_: Duration) -> io::Result<()> {
    unsupported()
}

pub(crate) fn that_ended(_: ExitStatus) -> Option<i32> {
    None
}

pub(crate) fn has_dumped_core(_: ExitStatus) -> bool {
    false
}

pub(crate) fn exists(signal: i32) -> bool {
    (1..=31).contains(&signal)
}

pub(crate) fn name(number: i32) -> String {
    format!("signal {number}")
}
