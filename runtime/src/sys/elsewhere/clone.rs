//! Forking a sibling, which is not possible here.

use super::{alone::Alone, board::Number, unsupported};
use std::{convert::Infallible, io};

#[derive(Debug)]
pub(crate) struct Cloner(Infallible);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(dead_code, reason = "nothing can be forked here")]
pub(crate) enum Side {
    Parent,
    Child,
}

impl Cloner {
    pub(crate) fn new() -> io::Result<Self> {
        unsupported()
    }

    pub(crate) fn fork(&mut self, _: &Number, _: &Alone) -> io::Result<Side> {
        match self.0 {}
    }
}
