//! What a process has found out about itself.

use std::process;

/// No process is known as the parent of this one.
pub(crate) fn parent_id() -> u32 {
    0
}

pub(crate) fn number() -> u64 {
    process::id().into()
}

#[cfg(feature = "pool")]
pub(crate) fn prepare() -> std::io::Result<()> {
    super::unsupported()
}

#[cfg(feature = "pool")]
pub(crate) fn resident_memory() -> std::io::Result<u64> {
    super::unsupported()
}
