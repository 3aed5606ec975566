//! Memory in large pages:
//! [madvise(2)](https://man7.org/linux/man-pages/man2/madvise.2.html).

use nix::{
    sys::mman::{MmapAdvise, madvise},
    unistd::{SysconfVar, sysconf},
};
use std::ptr::NonNull;

/// Asks for huge pages if the numbers are large enough for them.
///
/// It asks for whole pages, including the first and the last one. If the kernel treated a part of
/// the memory in another way, it could not move the memory when more is needed, and the allocator
/// would copy it.
pub(crate) fn ask_for_large<N>(numbers: &mut Vec<N>) {
    const WORTH_IT: usize = 4 << 20;
    let length = numbers.capacity() * size_of::<N>();
    if length < WORTH_IT {
        return;
    }
    let Ok(Some(Ok(page))) = sysconf(SysconfVar::PAGE_SIZE).map(|size| size.map(usize::try_from))
    else {
        return;
    };
    let start = numbers.as_mut_ptr().cast::<libc::c_void>();
    let before = start.addr() % page;
    let length = (before + length).next_multiple_of(page);
    if let Some(start) = NonNull::new(start.wrapping_byte_sub(before)) {
        // SAFETY: the pages exist, since each holds some of the numbers, and the advice does not
        // change what is in them. A kernel without huge pages refuses the advice, which changes
        // nothing.
        let _ = unsafe { madvise(start, length, MmapAdvise::MADV_HUGEPAGE) };
    }
}
