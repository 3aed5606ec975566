//! The state that only a new helper can take on. There is no helper here.

use super::{signal::Mask, unsupported};
use std::{convert::Infallible, io};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing(Infallible);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dispositions {
    pub(crate) umask: u32,
    pub(crate) ignored: Mask,
}

pub(crate) fn read() -> io::Result<(Standing, Dispositions)> {
    unsupported()
}

pub(crate) fn has_children_elsewhere() -> bool {
    false
}

pub(crate) fn may_look_at(_: u32) -> bool {
    false
}
