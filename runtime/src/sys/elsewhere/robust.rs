//! A lock in shared memory, which cannot be made here.

use super::{mapping::Mapping, unsupported};
use std::{convert::Infallible, io, marker::PhantomData, sync::Arc, time::Instant};

#[derive(Debug)]
pub(crate) struct Robust(Infallible);

pub(crate) const SIZE: usize = 64;

pub(crate) const LIBRARY: &str = "none";

#[derive(Debug)]
#[expect(dead_code, reason = "no lock refuses anything here")]
pub(crate) enum Refused {
    Busy,
    Held,
    Invalid(io::Error),
}

#[derive(Debug)]
pub(crate) struct Guard<'a>(Infallible, PhantomData<&'a Robust>);

impl Robust {
    pub(crate) fn create(_: &Arc<Mapping>, _: usize) -> io::Result<Self> {
        unsupported()
    }

    pub(crate) fn open(_: &Arc<Mapping>, _: usize) -> io::Result<Self> {
        unsupported()
    }

    pub(crate) fn lock(&self, _: Option<Instant>) -> Result<Guard<'_>, Refused> {
        match self.0 {}
    }

    pub(crate) fn try_lock(&self) -> Result<Guard<'_>, Refused> {
        match self.0 {}
    }

    pub(crate) fn held(&self) -> Option<Guard<'_>> {
        match self.0 {}
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        match self.0 {}
    }
}

impl Guard<'_> {
    pub(crate) fn is_ours(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn owner_died(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn recovered(&mut self) {
        match self.0 {}
    }
}
