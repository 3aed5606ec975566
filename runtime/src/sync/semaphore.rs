//! Permits, of which there are so many.

use super::{
    monitor::{Monitor, Parts, Rules},
    state::{OWN, State},
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
/// A clone is a handle to the same semaphore, and so is what another process gets to which one is sent. A permit is given back when its
/// [`SemaphoreGuard`] is dropped, and also when the process that has it ends, however it ends: a holder that is killed blocks nobody.
/// Taking a permit that is there, and giving one back that nobody waits for, is no system call.
///
/// # Order
///
/// There is none. All who wait are woken when a permit comes back, and the first that takes it has it; so may one that has just come. A
/// waiter that is stopped, or killed, delays nobody.
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
    monitor: Arc<Monitor>,
}

/// How many permits nobody has.
const AVAILABLE: usize = OWN;

const RULES: Rules = Rules {
    // Each of those who have a permit could give it to a waiter.
    blockers: |state| state.taken().collect(),
    reap,
    again: |_| None,
};

/// How many permits the process in a seat has.
fn count(seat: usize) -> usize {
    State::own(seat).0
}

fn reap(state: &State<'_>, seat: usize) {
    give_back(state, seat, state.get(count(seat)));
}

fn give_back(state: &State<'_>, seat: usize, permits: u64) {
    let left = state.get(count(seat)).saturating_sub(permits);
    let available = state.get(AVAILABLE).saturating_add(permits);
    state.ring();
    state.change(&[(count(seat), left), (AVAILABLE, available)]);
}

fn take(state: &State<'_>) -> Option<io::Result<usize>> {
    let available = state.get(AVAILABLE).checked_sub(1)?;
    let taken = state.seat().inspect(|seat| {
        let count = count(*seat);
        state.change(&[
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
        let monitor = Monitor::create(Monitor::SIZE, &[permits as u64])
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
    /// # Panics
    ///
    /// When there would be more than [`usize::MAX`].
    #[doc(alias = "release")]
    pub fn add_permits(&self, permits: usize) {
        let state = lock(&self.monitor);
        let available = state.get(AVAILABLE).checked_add(permits as u64);
        let available = available.expect("there are not that many permits");
        state.ring();
        state.set(AVAILABLE, available);
    }

    /// Returns how many permits there are to be had. It may be another number by now.
    #[must_use]
    #[doc(alias = "get_value")]
    pub fn available_permits(&self) -> usize {
        let available = self.monitor.peek(AVAILABLE);
        usize::try_from(available).unwrap_or(usize::MAX)
    }

    /// Adds permits if there are no more than `bound` then, those included that somebody has.
    pub(super) fn add_within(&self, permits: usize, bound: usize) -> bool {
        let state = lock(&self.monitor);
        let taken: u64 = state.seats().map(|seat| state.get(count(seat))).sum();
        let available = state.get(AVAILABLE).saturating_add(permits as u64);
        if available.saturating_add(taken) > bound as u64 {
            return false;
        }
        state.ring();
        state.set(AVAILABLE, available);
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
            monitor: Arc::new(Monitor::open(parts, Monitor::SIZE)?),
        })
    }
}

/// Takes the lock for a moment.
fn lock(monitor: &Monitor) -> State<'_> {
    let state = monitor.lock();
    state.expect("the memory of the semaphore is whole")
}

/// A permit: what [`Semaphore::acquire`] returns. Dropping it gives the permit back, in whichever thread.
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
    /// Keeps the permit from coming back: there is one less from now on, whatever becomes of this process.
    pub fn forget(self) {
        if self.is_ours() {
            let state = lock(self.monitor);
            let count = count(self.seat);
            state.set(count, state.get(count).saturating_sub(1));
        }
        std::mem::forget(self);
    }

    /// Whether it is this process that has taken it, and not the one that this is a copy of.
    fn is_ours(&self) -> bool {
        self.holder == own::number()
    }
}

impl Drop for SemaphoreGuard<'_> {
    fn drop(&mut self) {
        if self.is_ours() {
            give_back(&lock(self.monitor), self.seat, 1);
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
