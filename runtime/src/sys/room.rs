//! How much more memory this process may get.

use nix::sys::{
    mman::{MapFlags, ProtFlags, mmap_anonymous, munmap},
    resource::{RLIM_INFINITY, Resource, getrlimit},
};
use std::{fs, mem, num::NonZero, sync::Mutex};

/// The most bytes that a backtrace needs, apart from the symbols of the executable, which it reads.
const BACKTRACE: u64 = 64 << 20;

/// How much is kept for the report of a panic, in bytes. It is less than what the C library maps
/// apart from its heap, and no page of it is touched.
const RESERVE: usize = 64 << 10;

static KEPT: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Keeps some memory for the report of a panic, if the memory of this process has a limit: the
/// panic may come when everything else is used up.
pub(crate) fn keep_reserve() {
    if is_limited()
        && let Ok(mut kept) = KEPT.try_lock()
    {
        // If there is no memory already, there is nothing to keep.
        let _ = kept.try_reserve_exact(RESERVE);
    }
}

/// Frees the reserve.
pub(crate) fn free_reserve() {
    if let Ok(mut kept) = KEPT.try_lock() {
        drop(mem::take(&mut *kept));
    }
}

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
