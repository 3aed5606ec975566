//! Waiting for descriptors, with a deadline on the monotonic clock.

use super::{limits, socket};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, ppoll},
    sys::time::TimeSpec,
};
use std::{
    hint, io,
    os::fd::{AsRawFd, BorrowedFd},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// What a descriptor is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// Something to read, or an end. A pidfd becomes readable when its process ends.
    Reading,
    /// Room to write, or an end.
    Writing,
    /// The hang-up: nobody holds the other end any more.
    End,
}

/// Waits until one of the descriptors is ready or the deadline has passed. Without a deadline,
/// blocks for ever.
///
/// Returns for each descriptor whether it is ready: false for all after the deadline.
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
                // poll(2) reports a hang-up without being asked.
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
            // These are more descriptors than this process may have now: it may have opened them
            // before its limit was lowered.
            Err(Errno::EINVAL) => return select(fds, deadline),
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Does what [`until_ready`] does, for any number of descriptors: the limit of a process does not
/// matter to [select(2)](https://man7.org/linux/man-pages/man2/select.2.html). Fails with `EINVAL`
/// if a descriptor is waited for with [`For::End`].
fn select(fds: &[(BorrowedFd<'_>, For)], deadline: Option<Instant>) -> io::Result<Vec<bool>> {
    const BITS: usize = u64::BITS as usize;
    // The numbers are not negative.
    let number = |fd: &BorrowedFd<'_>| fd.as_raw_fd().cast_unsigned() as usize;
    let end = fds.iter().map(|(fd, _)| number(fd) + 1).max().unwrap_or(0);
    if fds.iter().any(|(_, what)| *what == For::End) {
        return Err(Errno::EINVAL.into());
    }
    loop {
        let mut sets = [(); 2].map(|()| vec![0_u64; end.div_ceil(BITS)]);
        for (fd, what) in fds {
            let number = number(fd);
            sets[usize::from(*what == For::Writing)][number / BITS] |= 1 << (number % BITS);
        }
        let mut left = deadline.map(|deadline| {
            TimeSpec::from_duration(deadline.saturating_duration_since(Instant::now()))
        });
        let left = left
            .as_mut()
            .map_or(std::ptr::null_mut(), std::ptr::from_mut);
        let [reading, writing] = &mut sets;
        // The C library's function cannot be used: its sets have only 1024 places.
        // SAFETY: both sets have a place for each descriptor below `end`, and are ours to write to.
        // The time has the form of the kernel's. It is a copy of ours, which the kernel may change.
        // The two null pointers say that nothing more is given.
        let ready = Errno::result(unsafe {
            libc::syscall(
                libc::SYS_pselect6,
                end,
                reading.as_mut_ptr(),
                writing.as_mut_ptr(),
                std::ptr::null_mut::<u64>(),
                left,
                std::ptr::null::<u64>(),
            )
        });
        match ready {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
            Ok(_) => {
                let is_ready = |(fd, what): &(BorrowedFd<'_>, For)| {
                    let number = number(fd);
                    let set = &sets[usize::from(*what == For::Writing)];
                    set[number / BITS] & 1 << (number % BITS) != 0
                };
                return Ok(fds.iter().map(is_ready).collect());
            }
        }
    }
}

/// Waits until one descriptor is readable. Returns false after the deadline.
pub(crate) fn readable(fd: BorrowedFd<'_>, deadline: Option<Instant>) -> io::Result<bool> {
    Ok(until_ready(&[(fd, For::Reading)], deadline)? == [true])
}

/// Spins (waits without sleeping) until a socket has something to read, or an end, or until
/// `patience` is over. Returns whether the socket has something. Does not spin if this thread has
/// only one CPU, since the process that is waited for needs it.
pub(crate) fn spin(socket: BorrowedFd<'_>, patience: Duration) -> bool {
    !limits::has_one_cpu() && look_often(patience, || is_readable(socket))
}

fn is_readable(socket: BorrowedFd<'_>) -> bool {
    let nothing = |error: io::Error| error.kind() == io::ErrorKind::WouldBlock;
    !socket::peek(socket).is_err_and(nothing)
}

/// Spins until a condition holds or `patience` is over. Returns whether the condition holds.
fn look_often(patience: Duration, condition: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < patience {
        // Reading the clock costs time, so it is read only after every few checks.
        for _ in 0..4 {
            if condition() {
                return true;
            }
            hint::spin_loop();
        }
    }
    false
}

/// Decides from recent results whether spinning pays. After each miss in a row, spinning is left
/// out for twice as many waits before it is tried again.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    misses: AtomicU32,
    left_out: AtomicU32,
}

impl Patience {
    /// About as long as it takes to go to sleep and be woken.
    const LENGTH: Duration = Duration::from_micros(50);
    /// After this many misses in a row, spinning is not left out for longer still.
    const MOST_MISSES: u32 = 8;

    /// Spins until a socket has something to read, or an end, if that pays. Returns whether it has.
    pub(crate) fn spin(&self, socket: BorrowedFd<'_>) -> bool {
        self.wait(|| is_readable(socket))
    }

    /// Spins until a condition holds, if that pays. Returns whether it holds.
    pub(crate) fn wait(&self, condition: impl Fn() -> bool) -> bool {
        let misses = self.misses.load(Relaxed);
        if self.left_out.fetch_add(1, Relaxed) + 1 < 1 << misses {
            return condition();
        }
        self.left_out.store(0, Relaxed);
        // If the last spin was a success, there is another CPU.
        let can_pay = misses == 0 || !limits::has_one_cpu();
        let holds = can_pay && look_often(Self::LENGTH, condition);
        let misses = if holds {
            0
        } else {
            (misses + 1).min(Self::MOST_MISSES)
        };
        self.misses.store(misses, Relaxed);
        holds
    }
}

/// Returns the moment after `duration`, or `None` if the clock does not reach that far: for ever.
pub(crate) fn deadline(duration: Duration) -> Option<Instant> {
    Instant::now().checked_add(duration)
}

#[cfg(test)]
mod tests {
    use super::{For, deadline, select, until_ready};
    use std::{
        io::{self, Write},
        os::{fd::AsFd, unix::net::UnixStream},
        time::{Duration, Instant},
    };

    #[test]
    fn select_tells_what_poll_tells() {
        let (reader, mut writer) = io::pipe().unwrap();
        let (ended, _) = io::pipe().unwrap();
        let (socket, _peer) = UnixStream::pair().unwrap();
        let fds = [
            (reader.as_fd(), For::Reading),
            (ended.as_fd(), For::Reading),
            (socket.as_fd(), For::Reading),
            (socket.as_fd(), For::Writing),
        ];
        let both = |deadline| {
            let ready = select(&fds, deadline).unwrap();
            assert_eq!(ready, until_ready(&fds, deadline).unwrap());
            ready
        };
        assert_eq!(both(None), [false, true, false, true]);
        writer.write_all(&[0]).unwrap();
        assert_eq!(both(None), [true, true, false, true]);
        assert_eq!(select(&fds[2..3], Some(Instant::now())).unwrap(), [false]);
        let soon = deadline(Duration::from_millis(1));
        assert_eq!(select(&fds[2..3], soon).unwrap(), [false]);
        assert_eq!(select(&[], Some(Instant::now())).unwrap(), []);
        select(&[(reader.as_fd(), For::End)], None).unwrap_err();
    }
}
