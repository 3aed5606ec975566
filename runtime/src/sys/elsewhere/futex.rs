//! Sleeping until a number in shared memory changes. There is no such memory here.

use super::unsupported;
use std::{
    io,
    sync::atomic::AtomicU32,
    time::{Duration, Instant},
};

pub(crate) fn wait(_: &AtomicU32, _: u32, _: Option<Instant>) -> io::Result<bool> {
    unsupported()
}

pub(crate) fn wake_all(_: &AtomicU32) {}

pub(crate) fn since_boot() -> Duration {
    Duration::ZERO
}
