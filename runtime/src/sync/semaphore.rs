//! A number of permits.

use super::{
    monitor::{Monitor, Parts, Rules},
    state::{OWN, Post, Settle, State},
};
use crate::{
    error::{Error, Result},
    sys::{own, wait},
    wire::{self, Label},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

/// A number of permits, which processes take and give back.
///
/// A clone is a handle to the same semaphore, and so is what another process gets to which one is
/// sent. A permit is given back when its [`SemaphoreGuard`] is dropped, and also when the process
/// that has it ends, however it ends: a holder that is killed blocks nobody. Taking a permit that
/// is there, and giving one back that nobody waits for, is no system call.
///
/// # Order
///
/// There is none. All who wait are woken when a permit comes back, and the first that takes it has
/// it; that may be one that has just come. A waiter that is stopped, or killed, delays nobody.
///
/// # Stopped processes
///
/// A process that is stopped (SIGSTOP, a debugger) in the very instant in which it takes a permit
/// or gives one back keeps others from taking any until it goes on or ends. It keeps nobody from
/// giving back: that takes a tenth of a second at most, and what is given back can be taken when
/// the stopped process goes on or ends.
///
/// # Examples
///
/// ```
/// use procession::{process, sync::Semaphore};
///
/// #[process]
/// fn download(slots: &Semaphore) -> usize {
///     let _slot = slots.acquire().unwrap();
///     slots.available_permits()
/// }
///
/// let slots = Semaphore::new(2)?;
/// let workers = (0..4).map(|_| download::spawn(&slots)).collect::<Result<Vec<_>, _>>()?;
/// for worker in workers {
///     assert!(worker.join()? < 2);
/// }
/// assert_eq!(slots.available_permits(), 2);
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Semaphore {
    pub(super) monitor: Arc<Monitor>,
}

/// How many permits nobody has.
const AVAILABLE: usize = OWN;
/// How many permits there can be, those included that somebody has. The highest number is no bound.
const BOUND: usize = OWN + 1;

const UNBOUNDED: u64 = u64::MAX;

/// What is counted of the posts in a seat: permits that were given back, and that were forgotten.
const GIVEN: usize = 0;
const FORGOTTEN: usize = 1;

/// What is requested without a seat is the sum of all permits that were ever added.
const SETTLE: Settle = Settle {
    seat: settle,
    request,
};

const RULES: Rules = Rules {
    // Each process that has a permit could give it to a waiter.
    blockers: |state| state.taken().collect(),
    reap,
    again: |_| None,
};

/// How many permits the process in a seat has.
fn count(seat: usize) -> usize {
    State::own(seat).0
}

fn reap(state: &State<'_>, seat: usize) {
    settle(state, seat);
    give_back(state, seat, state.get(count(seat)));
}

fn give_back(state: &State<'_>, seat: usize, permits: u64) {
    let left = state.get(count(seat)).saturating_sub(permits);
    let available = state.get(AVAILABLE).saturating_add(permits);
    state.ring();
    state.change([(count(seat), left), (AVAILABLE, available)]);
}

fn settle(state: &State<'_>, seat: usize) {
    let posted @ [given, forgotten] = state.unsettled(seat);
    if posted == [0; 2] {
        return;
    }
    let gone = given.saturating_add(forgotten);
    let left = state.get(count(seat)).saturating_sub(gone);
    let available = state.get(AVAILABLE).saturating_add(given);
    let [one, other] = state.settled(seat, posted);
    state.ring();
    state.change([(count(seat), left), (AVAILABLE, available), one, other]);
}

fn request(state: &State<'_>, added: u64) {
    let permits = added.wrapping_sub(state.last_applied());
    let available = state.get(AVAILABLE);
    // If there is a bound, the process that has added these could not check it.
    let most = match state.get(BOUND) {
        UNBOUNDED => UNBOUNDED,
        bound => bound.saturating_sub(taken(state)).max(available),
    };
    let available = available.saturating_add(permits).min(most);
    state.ring();
    state.change([(AVAILABLE, available), State::applied(added)]);
}

/// How many permits somebody has.
fn taken(state: &State<'_>) -> u64 {
    state.seats().map(|seat| state.get(count(seat))).sum()
}

fn take(state: &State<'_>) -> Option<io::Result<usize>> {
    let available = state.get(AVAILABLE).checked_sub(1)?;
    let taken = state.seat().inspect(|seat| {
        let count = count(*seat);
        state.change([
            (count, state.get(count).saturating_add(1)),
            (AVAILABLE, available),
        ]);
    });
    Some(taken)
}

impl Semaphore {
    /// Makes one with this many permits.
    ///
    /// # Errors
    ///
    /// When the system has no memory or no descriptor to give.
    pub fn new(permits: usize) -> Result<Self> {
        Self::create(permits, UNBOUNDED)
    }

    /// Makes one that never has more permits than in the beginning.
    pub(super) fn bounded(permits: usize) -> Result<Self> {
        Self::create(permits, permits as u64)
    }

    fn create(permits: usize, bound: u64) -> Result<Self> {
        let monitor = Monitor::create(Monitor::SIZE, &[permits as u64, bound], &SETTLE)
            .map_err(|error| Error::os("a semaphore cannot be made", error))?;
        Ok(Self {
            monitor: Arc::new(monitor),
        })
    }

    /// Takes a permit, and waits for it for as long as that takes.
    ///
    /// # Errors
    ///
    /// When 4096 other processes have a permit.
    pub fn acquire(&self) -> Result<SemaphoreGuard<'_>> {
        let Some(guard) = self.acquire_until(None)? else {
            unreachable!("without a deadline a permit is taken");
        };
        Ok(guard)
    }

    /// Takes a permit if there is one; returns none if there is not.
    ///
    /// # Errors
    ///
    /// As for [`acquire`](Self::acquire).
    pub fn try_acquire(&self) -> Result<Option<SemaphoreGuard<'_>>> {
        self.guard(self.monitor.attempt(&RULES, |state, _| take(state)))
    }

    /// Takes a permit, and waits for it no longer than that; returns none if there was none.
    ///
    /// # Errors
    ///
    /// As for [`acquire`](Self::acquire).
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<Option<SemaphoreGuard<'_>>> {
        self.acquire_until(wait::deadline(timeout))
    }

    fn acquire_until(&self, deadline: Option<Instant>) -> Result<Option<SemaphoreGuard<'_>>> {
        let taken = self.monitor.wait(deadline, &RULES, |state, _| take(state));
        self.guard(taken)
    }

    fn guard(
        &self,
        taken: io::Result<Option<io::Result<usize>>>,
    ) -> Result<Option<SemaphoreGuard<'_>>> {
        let guard = || {
            let Some(seat) = taken?.transpose()? else {
                return Ok(None);
            };
            io::Result::Ok(Some(SemaphoreGuard {
                monitor: &self.monitor,
                seat,
                holder: own::number(),
            }))
        };
        guard().map_err(|error| Error::os("a semaphore cannot be waited for", error))
    }

    /// Adds permits, for ever: what is called `release` where permits are not taken as guards.
    ///
    /// Does not wait for longer than a tenth of a second, whoever is
    /// [stopped](Self#stopped-processes).
    ///
    /// # Panics
    ///
    /// When there would be more than [`usize::MAX`].
    #[doc(alias = "release")]
    pub fn add_permits(&self, permits: usize) {
        assert!(self.add(permits), "there are not that many permits");
    }

    /// Returns how many permits there are to be had. It may be another number by now.
    ///
    /// The permits of processes that have ended are among them. Does not wait, unless a permit was
    /// given back while a process was [stopped](Self#stopped-processes): then it waits for that
    /// process for a tenth of a second, and returns how many there were before if it is still
    /// stopped.
    #[must_use]
    #[doc(alias = "get_value")]
    pub fn available_permits(&self) -> usize {
        self.monitor.settle_soon();
        // If it cannot be found out who is dead, their permits are not among them.
        let _ = self.monitor.reap(&RULES);
        let available = self.monitor.peek(AVAILABLE);
        usize::try_from(available).unwrap_or(usize::MAX)
    }

    /// Adds permits; returns false, and adds none, if there would be more than there can be. If
    /// that cannot be seen now, as many are added later as there can be.
    pub(super) fn add(&self, permits: usize) -> bool {
        let permits = permits as u64;
        if let Some(state) = self.monitor.lock_to_give() {
            let bound = state.get(BOUND);
            let available = state.get(AVAILABLE).checked_add(permits);
            let taken = |bound| if bound == UNBOUNDED { 0 } else { taken(&state) };
            let is_within = |sum: &u64| sum.saturating_add(taken(bound)) <= bound;
            let Some(available) = available.filter(is_within) else {
                return false;
            };
            state.ring();
            state.set(AVAILABLE, available);
            return true;
        }
        let [bound, available] = [BOUND, AVAILABLE].map(|word| self.monitor.peek(word));
        let requested = self.monitor.requested().checked_add(permits);
        let sum = requested.and_then(|requested| requested.checked_add(available));
        if sum.is_none() || permits > bound {
            return false;
        }
        let add = |post: Post<'_>| post.request(|added| added.wrapping_add(permits));
        self.monitor.post(add);
        true
    }

    pub(super) fn send<T: Serialize, S: Serializer>(
        &self,
        label: Label<'_>,
        more: T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        (label, &*self.monitor, more).serialize(serializer)
    }

    pub(super) fn open(parts: Parts) -> io::Result<Self> {
        Ok(Self {
            monitor: Arc::new(Monitor::open(parts, Monitor::SIZE, &SETTLE)?),
        })
    }
}

/// A permit: what [`Semaphore::acquire`] returns. Dropping it gives the permit back, in whichever
/// thread. Neither that nor [`forget`](Self::forget) waits for longer than a tenth of a second,
/// whoever is [stopped](Semaphore#stopped-processes).
///
/// # Examples
///
/// ```
/// use procession::sync::Semaphore;
///
/// let semaphore = Semaphore::new(1)?;
/// let guard = semaphore.acquire()?;
/// assert!(semaphore.try_acquire()?.is_none());
/// guard.forget();
/// assert!(semaphore.try_acquire()?.is_none());
/// semaphore.add_permits(1);
/// assert!(semaphore.try_acquire()?.is_some());
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "the permit is given back when this is dropped"]
pub struct SemaphoreGuard<'a> {
    monitor: &'a Monitor,
    seat: usize,
    /// The process that has it: a forked copy of it does not.
    holder: u64,
}

impl SemaphoreGuard<'_> {
    /// Keeps the permit from coming back: there is one less from now on, whatever becomes of this
    /// process.
    pub fn forget(self) {
        let this = std::mem::ManuallyDrop::new(self);
        if !this.is_ours() {
            return;
        }
        let Some(state) = this.monitor.lock_to_give() else {
            return this.post(FORGOTTEN);
        };
        let count = count(this.seat);
        state.set(count, state.get(count).saturating_sub(1));
    }

    fn post(&self, which: usize) {
        let post = |post: Post<'_>| post.give_back(self.seat, which, 1);
        self.monitor.post(post);
    }

    /// Whether it is this process that has taken it, and not the one that this is a copy of.
    fn is_ours(&self) -> bool {
        self.holder == own::number()
    }
}

impl Drop for SemaphoreGuard<'_> {
    fn drop(&mut self) {
        if !self.is_ours() {
            return;
        }
        match self.monitor.lock_to_give() {
            Some(state) => give_back(&state, self.seat, 1),
            None => self.post(GIVEN),
        }
    }
}

impl Serialize for Semaphore {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.send(Label::of::<()>("Semaphore"), (), serializer)
    }
}

impl<'de> Deserialize<'de> for Semaphore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        type Whole<'a> = (Label<'a>, Parts, ());
        let (label, parts, ()) = Whole::deserialize(deserializer)?;
        label.check::<(), _>("Semaphore")?;
        Self::open(parts).map_err(wire::unopened)
    }
}
