//! The clients of a listener that are in their handshakes.
//!
//! All handshakes progress at the same time. One accepting thread at a time drives them, and other
//! accepting threads wait for their turn. No client has a thread of its own: the next thread
//! continues what the last one has left.

use super::{
    Error, Options, Result, Stream, handshake::Side, listening::Listening, opening::Opening,
};
use crate::sys::{
    errno,
    fd::{AsFd, BorrowedFd},
    per_process::{Owned, PerProcess},
    wait::{self, For},
    watch::Watch,
};
use std::{
    fmt, io, process,
    sync::{Condvar, MutexGuard, OnceLock, PoisonError},
    time::Instant,
};

/// The most handshakes at the same time. If one more client arrives, the oldest one is turned away:
/// an honest client needs almost no time.
const MOST: usize = 128;

/// The clients in their handshakes, and the threads that wait for them.
#[derive(Default)]
pub(super) struct Reception {
    state: PerProcess<State>,
    turn: Condvar,
    /// Watches all these clients, once `readiness` has been called. With the process that made it.
    readiness: OnceLock<Option<(u32, Watch)>>,
}

#[derive(Default)]
struct State {
    /// The oldest first. Each with a flag: whether `readiness` watches it.
    guests: Vec<(Opening, bool)>,
    /// Whether a thread has taken the clients, to drive them.
    is_taken: bool,
}

impl Reception {
    /// Waits for the first client that completes its handshake or fails in it. Returns `None` if
    /// there is none before the deadline.
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

    /// Returns a descriptor that is readable when accepting would make progress.
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
            // This descriptor tells at least of new clients.
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

    fn state(&self) -> MutexGuard<'_, Owned<State>> {
        // A copy of the process that accepted these clients does not use them.
        self.state.lock(|state| *state = State::default())
    }
}

impl fmt::Debug for Reception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reception").finish_non_exhaustive()
    }
}

/// The turn of a thread that drives the clients. Dropping it gives them back.
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
                // Return at the first result. Data of the other clients stays in their sockets, so
                // the descriptor stays readable.
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
                Err(error) if is_of_the_client(&error) => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // The descriptor table is full. Clients that say nothing must not keep out new
                // clients.
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

    /// Continues the handshake of one client. Returns the result if the handshake is over.
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

/// Whether an error of accepting is that of the client, or of the network to it. Linux returns what
/// has happened to the new connection:
/// [accept(2)](https://man7.org/linux/man-pages/man2/accept.2.html).
fn is_of_the_client(error: &io::Error) -> bool {
    const CLIENT: [i32; 8] = [
        errno::ECONNABORTED,
        errno::EHOSTDOWN,
        errno::EHOSTUNREACH,
        errno::ENETDOWN,
        errno::ENETUNREACH,
        errno::ENONET,
        errno::ENOPROTOOPT,
        errno::EPROTO,
    ];
    error
        .raw_os_error()
        .is_some_and(|errno| CLIENT.contains(&errno))
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(errno::EMFILE | errno::ENFILE))
}
