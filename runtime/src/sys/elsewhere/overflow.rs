//! Reports of a stack overflow. Those of std are enough for a process that is no child.

use super::unsupported;
use std::io;

pub(crate) fn say(_: String) {}

pub(crate) fn watch() -> io::Result<()> {
    unsupported()
}

pub(crate) fn stack_bottom() -> io::Result<usize> {
    unsupported()
}

pub(crate) fn widen_stack() -> io::Result<()> {
    unsupported()
}
