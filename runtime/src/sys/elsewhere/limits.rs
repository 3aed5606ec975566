//! The resources that a process may use, and the name of a process: they cannot be set here.

use super::unsupported;
use std::{convert::Infallible, io, time::Duration};

pub(crate) type Limit = (u64, u64);

pub(crate) const COUNT: u8 = 0;

pub(crate) const STACK: u8 = u8::MAX;

pub(crate) fn get(_: u8) -> io::Result<Limit> {
    unsupported()
}

pub(crate) fn set(_: u8, _: Limit) -> io::Result<()> {
    unsupported()
}

pub(crate) fn nice() -> io::Result<i32> {
    unsupported()
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cpus(Infallible);

impl Cpus {
    pub(crate) fn numbers(&self) -> Vec<usize> {
        match self.0 {}
    }
}

pub(crate) fn affinity() -> io::Result<Cpus> {
    unsupported()
}

pub(crate) fn set_umask(_: u32) {}

pub(crate) fn set_memory(_: u64) -> io::Result<()> {
    unsupported()
}

pub(crate) fn set_cpu_time(_: Duration) -> io::Result<()> {
    unsupported()
}

pub(crate) fn whole_seconds(time: Duration) -> Duration {
    time
}

pub(crate) fn set_open_files(_: u64) -> io::Result<()> {
    unsupported()
}

pub(crate) fn set_nice(_: i32) -> io::Result<()> {
    unsupported()
}

pub(crate) fn set_affinity(_: &[usize]) -> io::Result<()> {
    unsupported()
}

pub(crate) fn set_name(_: &str) -> io::Result<()> {
    unsupported()
}
