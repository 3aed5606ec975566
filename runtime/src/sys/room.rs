//! How much more memory this process may get.

use nix::sys::{
    mman::{MapFlags, ProtFlags, mmap_anonymous, munmap},
    resource::{RLIM_INFINITY, Resource, getrlimit},
};
use std::{fs, num::NonZero};

/// The most bytes that a backtrace needs, apart from the symbols of the executable, which it reads.
const BACKTRACE: u64 = 64 << 20;

/// Whether the memory of this process has a limit (`RLIMIT_AS`, `RLIMIT_DATA`).
pub(crate) fn is_limited() -> bool {
    [Resource::RLIMIT_AS, Resource::RLIMIT_DATA]
        .into_iter()
        .any(|resource| getrlimit(resource).is_ok_and(|(soft, _)| soft != RLIM_INFINITY))
}

/// Whether there is room for a backtrace and its symbols.
pub(crate) fn is_there_for_a_backtrace() -> bool {
    let executable = fs::metadata("/proc/thread-self/exe").map_or(0, |file| file.len());
    has(executable.saturating_mul(2).saturating_add(BACKTRACE))
}

/// Whether this process could get this many bytes now.
fn has(bytes: u64) -> bool {
    let Some(length) = usize::try_from(bytes).ok().and_then(NonZero::new) else {
        return false;
    };
    let (protection, flags) = (
        ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
        MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE,
    );
    // SAFETY: a new anonymous mapping touches nothing that exists.
    let Ok(memory) = (unsafe { mmap_anonymous(None, length, protection, flags) }) else {
        return false;
    };
    // SAFETY: the mapping was made above, has this length, and nobody else has its address.
    let _ = unsafe { munmap(memory, length.get()) };
    true
}
