//! Which came first: a moment, or the end of a process.
//!
//! Afterwards, a process that the kernel killed at the moment looks like one that somebody killed
//! before it. An [epoll(7)](https://man7.org/linux/man-pages/man7/epoll.7.html) instance looks all
//! the time: it lists what became ready in the order in which it became ready.

use nix::sys::{
    epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
    time::TimeSpec,
    timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

/// Watches for a moment and for the end of a process.
#[derive(Debug)]
pub(crate) struct Deadline {
    events: Epoll,
    /// Readable when the moment has come.
    timer: TimerFd,
}

const MOMENT: u64 = 0;
const END: u64 = 1;

impl Deadline {
    /// Watches for the moment from now on.
    pub(crate) fn new(moment: Instant) -> io::Result<Self> {
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC)?;
        // A timer that is set to zero is off.
        let left = moment.saturating_duration_since(Instant::now());
        let left = TimeSpec::from_duration(left.max(Duration::from_nanos(1)));
        timer.set(Expiration::OneShot(left), TimerSetTimeFlags::empty())?;
        let events = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        events.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, MOMENT))?;
        Ok(Self { events, timer })
    }

    /// Also watches for the end of a process: `end` becomes readable then. If both have happened by
    /// now, the moment counts as the first.
    pub(crate) fn watch(&self, end: BorrowedFd<'_>) -> io::Result<()> {
        Ok(self
            .events
            .add(end, EpollEvent::new(EpollFlags::EPOLLIN, END))?)
    }

    /// Whether the moment has come, and the process had not ended before it.
    pub(crate) fn came_first(&self) -> io::Result<bool> {
        let mut ready = [EpollEvent::empty(); 2];
        let count = self.events.wait(&mut ready, EpollTimeout::ZERO)?;
        Ok(ready[..count]
            .first()
            .is_some_and(|first| first.data() == MOMENT))
    }
}

impl AsFd for Deadline {
    /// Readable when the moment has come.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::Deadline;
    use crate::sys::wait;
    use std::{
        io,
        os::fd::AsFd,
        time::{Duration, Instant},
    };

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(5)
    }

    #[test]
    fn what_came_first_is_known_however_late_it_is_asked_for() {
        for _ in 0..20 {
            let (end, process) = io::pipe().unwrap();
            let deadline = Deadline::new(soon()).unwrap();
            deadline.watch(end.as_fd()).unwrap();
            drop(process);
            assert!(wait::readable(deadline.as_fd(), None).unwrap());
            assert!(!deadline.came_first().unwrap());
            assert!(!deadline.came_first().unwrap());

            let (end, process) = io::pipe().unwrap();
            let deadline = Deadline::new(soon()).unwrap();
            deadline.watch(end.as_fd()).unwrap();
            assert!(wait::readable(deadline.as_fd(), None).unwrap());
            drop(process);
            assert!(deadline.came_first().unwrap());
            assert!(deadline.came_first().unwrap());
        }
    }

    #[test]
    fn moment_that_has_not_come_is_not_first() {
        let (end, process) = io::pipe().unwrap();
        let far = Instant::now() + Duration::from_secs(1 << 40);
        let deadline = Deadline::new(far).unwrap();
        deadline.watch(end.as_fd()).unwrap();
        assert!(!deadline.came_first().unwrap());
        drop(process);
        assert!(!deadline.came_first().unwrap());
    }
}
