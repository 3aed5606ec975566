//! Sleeping until a number in shared memory changes:
//! [futex(2)](https://man7.org/linux/man-pages/man2/futex.2.html).

use nix::{errno::Errno, sys::time::TimeSpec, time::ClockId};
use std::{
    io,
    sync::atomic::AtomicU32,
    time::{Duration, Instant},
};

/// Sleeps while `word` is `expected`, until it is woken or the deadline has passed. May also return
/// without a reason.
///
/// Returns false after the deadline.
pub(crate) fn wait(word: &AtomicU32, expected: u32, deadline: Option<Instant>) -> io::Result<bool> {
    let deadline = deadline.map(|deadline| moment(ClockId::CLOCK_MONOTONIC, deadline));
    let deadline = deadline.transpose()?;
    let until = deadline
        .as_ref()
        .map_or(std::ptr::null(), |at| &raw const *at);
    // SAFETY: the word and the time live as long as the call, and the kernel checks everything
    // else.
    let woken = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            // This form takes an absolute time on the monotonic clock. The futex is not private,
            // since other processes wake it.
            libc::FUTEX_WAIT_BITSET,
            expected,
            until,
            std::ptr::null::<u32>(),
            libc::FUTEX_BITSET_MATCH_ANY,
        )
    };
    match Errno::result(woken) {
        Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => Ok(true),
        Err(Errno::ETIMEDOUT) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Wakes all that sleep on `word`, in every process.
pub(crate) fn wake_all(word: &AtomicU32) {
    // SAFETY: the word lives as long as the call. The call cannot fail for an address that is
    // mapped.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
}

/// Returns the time on the monotonic clock, which all processes of one time namespace share.
pub(crate) fn since_boot() -> Duration {
    ClockId::CLOCK_MONOTONIC
        .now()
        .map_or(Duration::ZERO, Duration::from)
}

/// Returns the absolute time on a clock at which `deadline` is reached.
pub(super) fn moment(clock: ClockId, deadline: Instant) -> io::Result<libc::timespec> {
    let now = clock.now()?;
    let left = deadline.saturating_duration_since(Instant::now());
    let at = Duration::from(now).saturating_add(left);
    // A time that is later than the clock can tell means for ever.
    let latest = Duration::from_secs(u64::from(u32::MAX) << 16);
    Ok(*TimeSpec::from_duration(at.min(latest)).as_ref())
}
