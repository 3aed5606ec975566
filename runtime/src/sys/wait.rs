//! Waiting for descriptors, with a deadline on the monotonic clock.

use super::{limits, socket::has_something};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, ppoll},
    sys::time::TimeSpec,
};
use std::{
    hint, io,
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

/// What a descriptor is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// Something to read, or an end. A pidfd is readable when its process has ended.
    Reading,
    /// Room to write, or an end.
    Writing,
    /// That nobody holds the other end any more.
    End,
}

/// Waits until one of the descriptors is ready or the deadline has passed; no deadline is for ever.
///
/// Returns which ones are ready: none after the deadline.
pub(crate) fn until_ready(
    fds: &[(BorrowedFd<'_>, For)],
    deadline: Option<Instant>,
) -> io::Result<Vec<bool>> {
    let mut polled: Vec<_> = fds
        .iter()
        .map(|(fd, what)| {
            let flags = match what {
                For::Reading => PollFlags::POLLIN,
                For::Writing => PollFlags::POLLOUT,
                // That is told without being asked for.
                For::End => PollFlags::empty(),
            };
            PollFd::new(*fd, flags)
        })
        .collect();
    loop {
        let left = deadline.map(|deadline| {
            TimeSpec::from_duration(deadline.saturating_duration_since(Instant::now()))
        });
        match ppoll(&mut polled, left, None) {
            Ok(_) => return Ok(polled.iter().map(|fd| fd.any().unwrap_or(true)).collect()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Waits for one descriptor to be readable; returns whether it is.
pub(crate) fn readable(fd: BorrowedFd<'_>, deadline: Option<Instant>) -> io::Result<bool> {
    Ok(until_ready(&[(fd, For::Reading)], deadline)? == [true])
}

/// Waits for a socket to have something to read without going to sleep, for as long as `patience` and where there is another CPU for
/// what is waited for.
pub(crate) fn spin(socket: BorrowedFd<'_>, patience: Duration) {
    spin_until(patience, || has_something(socket));
}

/// Waits for a condition without going to sleep, for as long as `patience` and where there is another CPU for what is waited for;
/// returns whether it holds.
pub(crate) fn spin_until(patience: Duration, condition: impl Fn() -> bool) -> bool {
    if condition() {
        return true;
    }
    if limits::has_one_cpu() {
        return false;
    }
    let begun = Instant::now();
    while begun.elapsed() < patience {
        // The clock is looked at now and then only.
        for _ in 0..16 {
            if condition() {
                return true;
            }
            hint::spin_loop();
        }
    }
    false
}

/// The moment after `duration`, or none if that is further than the clock reaches: for ever.
pub(crate) fn deadline(duration: Duration) -> Option<Instant> {
    Instant::now().checked_add(duration)
}
