//! Signals of this process and thread, which are left alone here.

use super::unsupported;
use std::{convert::Infallible, io, process::ExitStatus, time::Duration};

pub(crate) const SIGINT: i32 = 2;
pub(crate) const SIGKILL: i32 = 9;
pub(crate) const SIGTERM: i32 = 15;
// These have other numbers on other systems, and nobody is sent them.
pub(crate) const SIGCONT: i32 = -1;
pub(crate) const SIGSTOP: i32 = -2;
pub(crate) const SIGXCPU: i32 = -3;

/// The signals that end a process. The numbers are those of Linux, since no process ends here.
#[allow(
    missing_docs,
    unreachable_pub,
    reason = "they are the names of signals, for death tests"
)]
pub mod numbers {
    pub const SIGABRT: i32 = 6;
    pub const SIGALRM: i32 = 14;
    pub const SIGBUS: i32 = 7;
    pub const SIGFPE: i32 = 8;
    pub const SIGHUP: i32 = 1;
    pub const SIGILL: i32 = 4;
    pub const SIGINT: i32 = 2;
    pub const SIGKILL: i32 = 9;
    pub const SIGPIPE: i32 = 13;
    pub const SIGQUIT: i32 = 3;
    pub const SIGSEGV: i32 = 11;
    pub const SIGSYS: i32 = 31;
    pub const SIGTERM: i32 = 15;
    pub const SIGTRAP: i32 = 5;
    pub const SIGUSR1: i32 = 10;
    pub const SIGUSR2: i32 = 12;
    pub const SIGXCPU: i32 = 24;
    pub const SIGXFSZ: i32 = 25;
}

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

#[cfg(feature = "pool")]
pub(crate) fn survive(_: i32) -> io::Result<()> {
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
