//! How much memory this process may still have.

use nix::sys::{
    mman::{MapFlags, ProtFlags, mmap_anonymous, munmap},
    resource::{RLIM_INFINITY, Resource, getrlimit},
};
use std::{fs, num::NonZero};

/// What a backtrace needs at most beside the executable, whose symbols it reads.
const BACKTRACE: u64 = 64 << 20;

/// Whether the memory of this process has a limit (`RLIMIT_AS`, `RLIMIT_DATA`).
pub(crate) fn is_limited() -> bool {
    [Resource::RLIMIT_AS, Resource::RLIMIT_DATA]
        .into_iter()
        .any(|resource| getrlimit(resource).is_ok_and(|(soft, _)| soft != RLIM_INFINITY))
}

/// Whether there is room for the symbols of a backtrace.
pub(crate) fn is_there_for_a_backtrace() -> bool {
    let executable = fs::metadata("/proc/thread-self/exe").map_or(0, |file| file.len());
    has(executable.saturating_mul(2).saturating_add(BACKTRACE))
}

/// Whether so many bytes could be had now.
fn has(bytes: u64) -> bool {
    let Some(length) = usize::try_from(bytes).ok().and_then(NonZero::new) else {
        return false;
    };
    let (protection, flags) = (
        ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
        MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE,
    );
    // SAFETY: a fresh anonymous mapping touches nothing that exists.
    let Ok(memory) = (unsafe { mmap_anonymous(None, length, protection, flags) }) else {
        return false;
    };
    // SAFETY: the mapping was made above, is as long as said, and nobody has its address.
    let _ = unsafe { munmap(memory, length.get()) };
    true
}
