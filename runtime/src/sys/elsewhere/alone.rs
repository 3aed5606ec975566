//! Whether this process has one thread, which cannot be found out here.

use super::unsupported;
use std::{convert::Infallible, io};

#[derive(Debug)]
pub(crate) struct Alone(pub(super) Infallible);

impl Alone {
    pub(crate) fn check() -> io::Result<Option<Self>> {
        unsupported()
    }
}

#[derive(Debug)]
pub(crate) struct Threads(Infallible);

impl Threads {
    pub(crate) fn of_this_process() -> io::Result<Self> {
        unsupported()
    }

    pub(crate) fn alone(&self) -> Option<Alone> {
        match self.0 {}
    }
}
