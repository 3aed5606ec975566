//! What this process knows of one child. Its [`Child`](super::Child), its
//! [`Handle`](super::Handle)s and the registry share it.

use crate::{
    start::{self, About, Bond, Event, MARGIN, StartMethod},
    sys::{
        deadline::Deadline,
        errno,
        fd::{AsFd, BorrowedFd, OwnedFd},
        sentinel::{Reaped, Sentinel, Usage},
        signal, wait,
    },
};
use std::{
    io,
    process::{self, ExitStatus},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

#[derive(Debug)]
pub(super) struct Life {
    /// A number that orders the children of this process by their start. No two children have the
    /// same.
    pub(super) serial: u64,
    pub(super) name: String,
    pub(super) bond: Bond,
    pub(super) start_method: StartMethod,
    pub(super) timeout: Option<Timeout>,
    /// Whether the child has reached its function.
    pub(super) reached: bool,
    pub(super) bounds: Bounds,
    /// The id of the parent. A copy of the parent that a bare `fork` made is not the parent.
    owner: u32,
    sentinel: Sentinel,
    /// The signals that this process has sent to the child, one bit for each.
    sent: AtomicU64,
    detached: AtomicBool,
    state: Mutex<State>,
    /// Called when the child has ended and was reaped.
    ended: fn(&Self),
}

/// The limits that end a child when it reaches them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bounds {
    /// The limit on the address space, in bytes.
    pub(super) memory: Option<u64>,
    pub(super) cpu_time: Option<Duration>,
}

/// A limit on the life of a child.
#[derive(Debug)]
pub(super) struct Timeout {
    pub(super) after: Duration,
    /// When the limit is reached. `None` means never: the clock does not reach that far.
    deadline: Option<(Instant, Deadline)>,
}

impl Timeout {
    /// Returns a limit that counts from now.
    pub(super) fn new(after: Duration) -> io::Result<Self> {
        let deadline = match wait::deadline(after) {
            Some(moment) => Some((moment, Deadline::new(moment)?)),
            None => None,
        };
        Ok(Self { after, deadline })
    }

    /// Returns when the limit is reached. `None` means never.
    pub(super) fn deadline(&self) -> Option<Instant> {
        Some(self.deadline.as_ref()?.0)
    }

    fn watch(&self, sentinel: &Sentinel) {
        if let Some((_, deadline)) = &self.deadline {
            // If the system refuses another watch, `was_used_up` compares the deadline with the
            // current time.
            let _ = deadline.watch(sentinel.as_fd());
        }
    }

    /// Whether the child still ran when the limit was reached.
    pub(super) fn was_used_up(&self) -> bool {
        let deadline = self.deadline.as_ref();
        deadline.is_some_and(|(moment, deadline)| {
            deadline
                .came_first()
                .unwrap_or_else(|_| *moment <= Instant::now())
        })
    }
}

#[derive(Debug)]
enum State {
    /// The lifeline keeps a daemon alive.
    Running {
        lifeline: Option<OwnedFd>,
    },
    Ended(End),
}

/// How a child ended. `None` if somebody else has reaped it.
pub(super) type End = Option<ExitStatus>;

impl Life {
    pub(super) fn new(
        (name, bond, start_method): (String, Bond, StartMethod),
        (timeout, bounds, reached): (Option<Timeout>, Bounds, bool),
        (sentinel, lifeline): (Sentinel, Option<OwnedFd>),
        ended: fn(&Self),
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let serial = NEXT.fetch_add(1, Ordering::Relaxed);
        if let Some(timeout) = &timeout {
            timeout.watch(&sentinel);
        }
        let state = Mutex::new(State::Running { lifeline });
        let (sent, detached) = (AtomicU64::new(0), AtomicBool::new(false));
        Self {
            serial,
            name,
            bond,
            start_method,
            timeout,
            reached,
            bounds,
            owner: process::id(),
            sentinel,
            sent,
            detached,
            state,
            ended,
        }
    }

    /// Closes the lifeline, in a forked copy of the process that holds it.
    pub(super) fn let_go(&self) {
        if let State::Running { lifeline } = &mut *self.state() {
            drop(lifeline.take());
        }
    }

    /// Whether the child is a child of this process.
    pub(super) fn is_own(&self) -> bool {
        self.owner == process::id()
    }

    pub(super) fn id(&self) -> u32 {
        self.sentinel.id()
    }

    /// Returns what events say about the child.
    pub(super) fn about(&self) -> About<'_> {
        About {
            id: self.id(),
            name: &self.name,
            start_method: self.start_method,
        }
    }

    /// Returns what the process used, or `None` while it runs or if somebody else has reaped it.
    pub(super) fn usage(&self) -> Option<Usage> {
        self.sentinel.usage()
    }

    /// Sends a signal. Does nothing if the process has ended.
    pub(super) fn signal(&self, number: i32) -> io::Result<()> {
        if !signal::exists(number) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if self.sentinel.has_ended() {
            // Not recorded in `sent`: this signal did not end the process.
            return Ok(());
        }
        // Set the bit before sending the signal: a thread that finds the process killed by the
        // signal must also find that this process sent it.
        self.sent.fetch_or(1 << (number - 1), Ordering::Relaxed);
        self.send(number)
    }

    fn send(&self, number: i32) -> io::Result<()> {
        // Hold the lock, so that no thread reaps the process meanwhile.
        match *self.state() {
            State::Running { .. } => self.sentinel.signal(number),
            State::Ended(_) => Ok(()),
        }
    }

    /// Whether this process has sent this signal to the child.
    pub(super) fn was_sent(&self, number: i32) -> bool {
        signal::exists(number) && self.sent.load(Ordering::Relaxed) & (1 << (number - 1)) != 0
    }

    pub(super) fn detach(&self) {
        self.detached.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_detached(&self) -> bool {
        self.detached.load(Ordering::Relaxed)
    }

    /// Whether the process runs. If it has ended, this reaps it.
    pub(super) fn is_alive(&self) -> bool {
        if !self.is_own() {
            return !self.sentinel.has_ended();
        }
        match self.wait(Some(Instant::now())) {
            Ok(end) => end.is_none(),
            // The system refuses to wait, for example because this process may have no descriptors
            // at all.
            Err(_) => matches!(*self.state(), State::Running { .. }),
        }
    }

    /// When this process kills the child, if the child's own timer has not done so.
    pub(super) fn overdue(&self) -> Option<Instant> {
        self.timeout.as_ref()?.deadline()?.checked_add(MARGIN)
    }

    /// Waits for the process to end and reaps it. Returns how it ended, or `None` if it still runs
    /// at the deadline.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> io::Result<Option<End>> {
        if !self.is_own() {
            // This process is a forked copy of the parent.
            return Err(io::Error::from_raw_os_error(errno::ECHILD));
        }
        let mut overdue = self.overdue();
        loop {
            if let State::Ended(end) = *self.state() {
                return Ok(Some(end));
            }
            let until = [deadline, overdue].into_iter().flatten().min();
            if wait::readable(self.sentinel.as_fd(), until)? {
                if let Some(end) = self.reap()? {
                    return Ok(Some(end));
                }
                // The process has ended, but a debugger still holds it. A pidfd does not tell when
                // the debugger lets go.
                match until {
                    None => self.sentinel.await_end()?,
                    Some(_) => drop(wait::until_ready(&[], until)?),
                }
            }
            let now = Instant::now();
            if overdue.is_some_and(|overdue| overdue <= now) {
                // A child that has changed its user cannot be killed from here. It is waited for.
                let _ = self.send(signal::SIGKILL);
                overdue = None;
            }
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Ok(None);
            }
        }
    }

    /// Reaps the process if it has ended.
    fn reap(&self) -> io::Result<Option<End>> {
        let mut state = self.state();
        let end = match *state {
            // Another thread has reaped it meanwhile.
            State::Ended(end) => return Ok(Some(end)),
            State::Running { .. } => match self.sentinel.reap()? {
                Reaped::Running => return Ok(None),
                Reaped::Ended(status) => Some(status),
                Reaped::Elsewhere => None,
            },
        };
        *state = State::Ended(end);
        drop(state);
        start::tell(|| Event::Ended {
            child: self.about(),
            status: end,
        });
        (self.ended)(self);
        Ok(Some(end))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Life {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sentinel.as_fd()
    }
}
