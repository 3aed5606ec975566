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
            // More than this process may have by now, which it may have opened before its limit was lowered.
            Err(Errno::EINVAL) => return select(fds, deadline),
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// As [`until_ready`], for any number of descriptors, but not for [`For::End`]: the limit of a process is nothing to
/// [select(2)](https://man7.org/linux/man-pages/man2/select.2.html).
fn select(fds: &[(BorrowedFd<'_>, For)], deadline: Option<Instant>) -> io::Result<Vec<bool>> {
    const BITS: usize = u64::BITS as usize;
    // They are not negative.
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
        // Not the C library's function, whose sets have 1024 places.
        // SAFETY: both sets have a place for each descriptor below `end`, and are ours to write to. The time has the form of the
        // kernel's. It is a copy of ours, which the kernel may change. The two null pointers say that nothing more is given.
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

/// Waits for one descriptor to be readable; returns whether it is.
pub(crate) fn readable(fd: BorrowedFd<'_>, deadline: Option<Instant>) -> io::Result<bool> {
    Ok(until_ready(&[(fd, For::Reading)], deadline)? == [true])
}

/// Waits for a socket to have something to read, or an end, without going to sleep, for as long as `patience` and where there is
/// another CPU for what is waited for; returns whether it has.
pub(crate) fn spin(socket: BorrowedFd<'_>, patience: Duration) -> bool {
    !limits::has_one_cpu() && look_often(patience, || is_readable(socket))
}

fn is_readable(socket: BorrowedFd<'_>) -> bool {
    let nothing = |error: io::Error| error.kind() == io::ErrorKind::WouldBlock;
    !socket::peek(socket).is_err_and(nothing)
}

/// Waits for a condition without going to sleep, for as long as `patience`; returns whether it holds.
fn look_often(patience: Duration, condition: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < patience {
        // The clock is looked at now and then only.
        for _ in 0..4 {
            if condition() {
                return true;
            }
            hint::spin_loop();
        }
    }
    false
}

/// Whether it pays to wait without going to sleep, by what came of it lately: each time that it did not, it is left out twice as
/// often before it is tried again.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    misses: AtomicU32,
    left_out: AtomicU32,
}

impl Patience {
    /// About as long as going to sleep and being woken takes.
    const LENGTH: Duration = Duration::from_micros(50);
    /// How often it can be in vain before it is not left out for longer still.
    const MOST_MISSES: u32 = 8;

    /// Waits for a socket to have something to read, or an end, if that pays; returns whether it has.
    pub(crate) fn spin(&self, socket: BorrowedFd<'_>) -> bool {
        self.wait(|| is_readable(socket))
    }

    /// Waits for a condition, if that pays; returns whether it holds.
    pub(crate) fn wait(&self, condition: impl Fn() -> bool) -> bool {
        let misses = self.misses.load(Relaxed);
        if self.left_out.fetch_add(1, Relaxed) + 1 < 1 << misses {
            return condition();
        }
        self.left_out.store(0, Relaxed);
        // Where it was not in vain the last time, there is another CPU.
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

/// The moment after `duration`, or none if that is further than the clock reaches: for ever.
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
