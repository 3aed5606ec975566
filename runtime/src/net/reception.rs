//! The clients of a listener whose handshakes have begun.
//!
//! They go on beside one another, driven by whichever thread is accepting: one at a time, while others wait for their turn. None of
//! them has a thread, and what a thread leaves unfinished the next one goes on with.

use super::{
    Error, Options, Result, Stream, handshake::Side, listener::Listening, opening::Opening,
};
use crate::sys::{
    wait::{self, For},
    watch::Watch,
};
use std::{
    fmt, io,
    os::fd::{AsFd, BorrowedFd},
    process,
    sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Instant,
};

/// How many handshakes can go on at once. A client more, and the oldest one is turned away: one that is honest needs no time.
const MOST: usize = 128;

/// What is awaited of clients, and by whom.
#[derive(Default)]
pub(super) struct Reception {
    state: Mutex<State>,
    turn: Condvar,
    /// What tells of clients, where somebody has asked for it, and the process that did.
    readiness: OnceLock<Option<(u32, Watch)>>,
}

#[derive(Default)]
struct State {
    /// The process that they are the clients of. A copy of it made by a bare `fork` leaves them alone.
    owner: u32,
    /// The oldest first; each with whether it is in `readiness`.
    guests: Vec<(Opening, bool)>,
    /// Whether a thread has taken them.
    is_taken: bool,
}

impl Reception {
    /// Waits for the first client that completes its handshake, or fails in it: none if there is none by the deadline.
    pub(super) fn accept(
        &self,
        socket: &Listening,
        options: &Options,
        deadline: Option<Instant>,
    ) -> Result<Option<Stream>> {
        let mut state = self.state();
        while state.is_taken {
            let now = Instant::now();
            state = match deadline {
                None => self
                    .turn
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(deadline) if deadline <= now => return Ok(None),
                Some(deadline) => {
                    let waited = self.turn.wait_timeout(state, deadline - now);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        state.is_taken = true;
        let guests = std::mem::take(&mut state.guests);
        drop(state);
        let mut turn = Turn {
            reception: self,
            socket,
            options,
            guests,
        };
        turn.accept(deadline)
    }

    /// Returns a descriptor that is readable when accepting would get on.
    pub(super) fn readiness<'a>(&'a self, socket: &'a Listening) -> BorrowedFd<'a> {
        let mut state = self.state();
        let readiness = self.readiness.get_or_init(|| {
            let watch = Watch::new().ok()?;
            watch.add(socket.as_fd()).ok()?;
            Some((process::id(), watch))
        });
        self.enlist(&mut state.guests);
        match readiness {
            Some((owner, watch)) if *owner == process::id() => watch.as_fd(),
            // It tells of those who come, at least.
            _ => socket.as_fd(),
        }
    }

    fn watch(&self) -> Option<&Watch> {
        let (owner, watch) = self.readiness.get()?.as_ref()?;
        (*owner == process::id()).then_some(watch)
    }

    fn enlist(&self, guests: &mut [(Opening, bool)]) {
        let Some(watch) = self.watch() else { return };
        for (guest, is_listed) in guests.iter_mut().filter(|(_, is_listed)| !is_listed) {
            *is_listed = watch.add(guest.as_fd()).is_ok();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.owner != process::id() {
            *state = State {
                owner: process::id(),
                ..State::default()
            };
        }
        state
    }
}

impl fmt::Debug for Reception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reception").finish_non_exhaustive()
    }
}

/// A thread that has the clients. Dropping it gives them back.
struct Turn<'a> {
    reception: &'a Reception,
    socket: &'a Listening,
    options: &'a Options,
    guests: Vec<(Opening, bool)>,
}

impl Turn<'_> {
    fn accept(&mut self, deadline: Option<Instant>) -> Result<Option<Stream>> {
        let cannot = |source| Error::io("no client can be accepted", source);
        loop {
            let now = Instant::now();
            for index in 0..self.guests.len() {
                // One after the other, and no more than that: what the others have sent stays to be read, and is told of.
                if let Some(result) = self.advance(index, now) {
                    return result.map(Some);
                }
            }
            match self.socket.accept() {
                Ok(socket) => {
                    let guest = Opening::begin(self.options, socket, Side::Listener)?;
                    self.guests.push((guest, false));
                    if self.guests.len() > MOST {
                        let why = "too many other clients were in their handshakes";
                        return Err(self.take(0).evicted(why));
                    }
                    continue;
                }
                // It has gone again.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // Those who come are not to be kept out by those who say nothing.
                Err(error) if is_full(&error) && !self.guests.is_empty() => {
                    let why = "its descriptor was needed for another client";
                    return Err(self.take(0).evicted(why));
                }
                Err(error) => return Err(cannot(error)),
            }
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Ok(None);
            }
            let deadlines = self.guests.iter().filter_map(|(guest, _)| guest.deadline());
            let until = deadlines.chain(deadline).min();
            let guests = self.guests.iter().map(|(guest, _)| guest.as_fd());
            let fds: Vec<_> = guests
                .chain([self.socket.as_fd()])
                .map(|fd| (fd, For::Reading))
                .collect();
            wait::until_ready(&fds, until).map_err(cannot)?;
        }
    }

    /// Goes on with one of them; returns what came of it, if it is over.
    fn advance(&mut self, index: usize, now: Instant) -> Option<Result<Stream>> {
        match self.guests[index].0.advance(Some(now)) {
            Ok(false) => None,
            Ok(true) => Some(Ok(self.take(index).finish())),
            Err(error) => {
                drop(self.take(index));
                Some(Err(error))
            }
        }
    }

    fn take(&mut self, index: usize) -> Opening {
        let (guest, is_listed) = self.guests.remove(index);
        if is_listed && let Some(watch) = self.reception.watch() {
            watch.remove(guest.as_fd());
        }
        guest
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.reception.state();
        state.guests = std::mem::take(&mut self.guests);
        state.is_taken = false;
        self.reception.enlist(&mut state.guests);
        drop(state);
        self.reception.turn.notify_one();
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}
