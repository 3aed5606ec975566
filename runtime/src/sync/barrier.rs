//! A place where processes wait for each other.

use super::{
    monitor::{Monitor, Parts, Rules},
    state::{OWN, State},
};
use crate::{
    error::Result,
    sys::wait,
    wire::{self, Label},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
    error, fmt, io,
    sync::Arc,
    time::{Duration, Instant},
};

/// A place where a number of processes wait until all of them are there, over and over: [`std::sync::Barrier`] for processes.
///
/// A clone is a handle to the same barrier, and so is what another process gets to which one is sent.
///
/// # Broken
///
/// A barrier breaks when a wait comes to its [time](Self::wait_timeout), when somebody [aborts](Self::abort) it, when an
/// [action](Self::wait_with) panics, and when a process ends, however it does, while it waits. All who wait get
/// [`BarrierError::Broken`] at once then, and so do those who come later, until the barrier is [reset](Self::reset). That a
/// process ends before it comes is not seen.
///
/// # Examples
///
/// ```
/// use procession::{process, sync::Barrier};
///
/// #[process]
/// fn work(barrier: &Barrier) -> bool {
///     barrier.wait().unwrap().is_leader()
/// }
///
/// let barrier = Barrier::new(3)?;
/// let workers = [work::spawn(&barrier)?, work::spawn(&barrier)?];
/// let mut leaders = usize::from(barrier.wait()?.is_leader());
/// for worker in workers {
///     leaders += usize::from(worker.join()?);
/// }
/// assert_eq!(leaders, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Barrier {
    monitor: Arc<Monitor>,
}

/// How many wait for each other.
const PARTIES: usize = OWN;
/// How often that was over, however it ended.
const GENERATION: usize = OWN + 1;
/// How many of this generation are there.
const ARRIVED: usize = OWN + 2;
/// Whether it is broken.
const BROKEN: usize = OWN + 3;

/// How the wait of a seat ended: zero while it has not.
const PASSED: u64 = 1;
const SPOILED: u64 = 2;

/// Each wait has a seat of its own: its generation, counted from one, and how it ended.
const RULES: Rules = Rules {
    // Each who is there could spoil it by its end.
    blockers: waiting,
    reap,
    again: |_| None,
};

fn waiting(state: &State<'_>) -> Vec<usize> {
    let waits = |seat: &usize| {
        let (generation, end) = State::own(*seat);
        state.get(generation) == state.get(GENERATION).saturating_add(1) && state.get(end) == 0
    };
    state.seats().filter(waits).collect()
}

fn reap(state: &State<'_>, seat: usize) {
    if waiting(state).contains(&seat) {
        end(state, SPOILED, true);
    }
    leave(state, seat);
}

/// Ends this generation: all who wait go on, for better or worse.
fn end(state: &State<'_>, how: u64, broken: bool) {
    let seats = waiting(state).into_iter();
    let mut changes: Vec<_> = seats.map(|seat| (State::own(seat).1, how)).collect();
    changes.extend([
        (GENERATION, state.get(GENERATION).saturating_add(1)),
        (ARRIVED, 0),
        (BROKEN, broken.into()),
    ]);
    state.ring();
    state.change(&changes);
}

fn leave(state: &State<'_>, seat: usize) {
    let (generation, end) = State::own(seat);
    state.change(&[(generation, 0), (end, 0)]);
}

/// How the wait of this seat ended, if it has.
fn how_ended(state: &State<'_>, seat: usize) -> Option<u64> {
    Some(state.get(State::own(seat).1)).filter(|how| *how != 0)
}

/// What an attempt to pass has come to.
enum Step {
    /// This one is the last, and all are there.
    Last,
    Passed,
    Broken,
}

/// Takes a seat if there is none yet, and looks how the wait has ended. Nothing has come of it while somebody is missing.
fn step(state: &State<'_>, seat: &mut Option<usize>) -> io::Result<Option<Step>> {
    if let Some(taken) = *seat {
        let Some(how) = how_ended(state, taken) else {
            return Ok(None);
        };
        leave(state, taken);
        *seat = None;
        return Ok(Some(match how {
            PASSED => Step::Passed,
            _ => Step::Broken,
        }));
    }
    if state.get(BROKEN) != 0 {
        return Ok(Some(Step::Broken));
    }
    let (arrived, parties) = (state.get(ARRIVED).saturating_add(1), state.get(PARTIES));
    if arrived > parties {
        // All are there and the action runs: this one is of the next generation.
        return Ok(None);
    }
    let taken = state.new_seat()?;
    // Those who wait have one more to watch.
    state.ring();
    let generation = state.get(GENERATION).saturating_add(1);
    state.change(&[(State::own(taken).0, generation), (ARRIVED, arrived)]);
    *seat = Some(taken);
    Ok((arrived == parties).then_some(Step::Last))
}

impl Barrier {
    /// Makes one for that many to wait for each other. For zero it is as for one: nobody waits.
    ///
    /// # Errors
    ///
    /// When the system has no memory or no descriptor to give.
    pub fn new(parties: usize) -> Result<Self> {
        let parties = parties.max(1) as u64;
        let monitor = Monitor::create(Monitor::SIZE, &[parties])
            .map_err(|error| crate::Error::os("a barrier cannot be made", error))?;
        Ok(Self {
            monitor: Arc::new(monitor),
        })
    }

    /// Waits until all are there, for as long as that takes.
    ///
    /// # Errors
    ///
    /// When the barrier is broken, or breaks. When 4096 others wait.
    pub fn wait(&self) -> Result<BarrierWaitResult, BarrierError> {
        self.wait_until(None, || {})
    }

    /// Waits until all are there, and then runs the action of the one that came last, before any goes on.
    ///
    /// # Errors
    ///
    /// As for [`wait`](Self::wait).
    ///
    /// # Panics
    ///
    /// When the action does. The barrier is broken then.
    #[doc(alias = "action")]
    pub fn wait_with(&self, action: impl FnOnce()) -> Result<BarrierWaitResult, BarrierError> {
        self.wait_until(None, action)
    }

    /// Waits until all are there, but no longer than that. If they are not there then, the barrier is broken.
    ///
    /// # Errors
    ///
    /// When the time is up, and as for [`wait`](Self::wait).
    pub fn wait_timeout(&self, timeout: Duration) -> Result<BarrierWaitResult, BarrierError> {
        self.wait_until(wait::deadline(timeout), || {})
    }

    fn wait_until(
        &self,
        deadline: Option<Instant>,
        action: impl FnOnce(),
    ) -> Result<BarrierWaitResult, BarrierError> {
        let mut seat = Seat {
            monitor: &self.monitor,
            taken: None,
        };
        let steps = |state: &State<'_>, _| step(state, &mut seat.taken).transpose();
        match self
            .monitor
            .wait(deadline, &RULES, steps)
            .and_then(Option::transpose)
        {
            Ok(Some(Step::Passed)) => Ok(BarrierWaitResult(false)),
            Ok(Some(Step::Broken)) => Err(BarrierError::Broken),
            Ok(Some(Step::Last)) => self.complete(seat, action),
            Ok(None) => match seat.give_up() {
                // It was over at the same moment.
                Some(PASSED) => Ok(BarrierWaitResult(false)),
                Some(_) => Err(BarrierError::Broken),
                None => Err(BarrierError::TimedOut),
            },
            Err(error) => Err(BarrierError::Os(error)),
        }
    }

    /// All are there, and this one came last.
    fn complete(
        &self,
        mut seat: Seat<'_>,
        action: impl FnOnce(),
    ) -> Result<BarrierWaitResult, BarrierError> {
        // Somebody may have been killed whose end nobody has seen yet.
        self.monitor.reap(&RULES).map_err(BarrierError::Os)?;
        if !seat.is_over() {
            action();
        }
        match seat.end(PASSED) {
            Some(_) => Err(BarrierError::Broken),
            None => Ok(BarrierWaitResult(true)),
        }
    }

    /// Breaks the barrier.
    pub fn abort(&self) {
        end(&lock(&self.monitor), SPOILED, true);
    }

    /// Makes the barrier as it was in the beginning. Those who wait get [`BarrierError::Broken`].
    pub fn reset(&self) {
        end(&lock(&self.monitor), SPOILED, false);
    }

    /// Returns whether the barrier is broken.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.look(BROKEN) != 0
    }

    /// Returns how many wait for each other.
    #[must_use]
    pub fn parties(&self) -> usize {
        usize::try_from(self.monitor.peek(PARTIES)).unwrap_or(usize::MAX)
    }

    /// Returns how many wait at the moment. It may be another number by now.
    #[must_use]
    pub fn n_waiting(&self) -> usize {
        usize::try_from(self.look(ARRIVED)).unwrap_or(usize::MAX)
    }

    fn look(&self, word: usize) -> u64 {
        // Where that cannot be found out, the answer is the one before.
        let _ = self.monitor.reap(&RULES);
        self.monitor.peek(word)
    }
}

/// Takes the lock of the monitor for a moment.
fn lock(monitor: &Monitor) -> State<'_> {
    monitor.lock().expect("the memory of the barrier is whole")
}

/// The seat of a wait, if it has one. Whoever leaves it before the wait is over breaks the barrier.
struct Seat<'a> {
    monitor: &'a Monitor,
    taken: Option<usize>,
}

impl Seat<'_> {
    fn is_over(&self) -> bool {
        let state = lock(self.monitor);
        self.taken
            .is_some_and(|seat| how_ended(&state, seat).is_some())
    }

    /// Ends the wait of all in this way, unless it is over: then it returns how it ended.
    fn end(&mut self, how: u64) -> Option<u64> {
        let seat = self.taken.take()?;
        let state = lock(self.monitor);
        let ended = how_ended(&state, seat);
        if ended.is_none() {
            end(&state, how, how == SPOILED);
        }
        leave(&state, seat);
        ended
    }

    fn give_up(&mut self) -> Option<u64> {
        self.end(SPOILED)
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// How a wait ended: what [`Barrier::wait`] returns.
///
/// # Examples
///
/// ```
/// use procession::sync::Barrier;
///
/// assert!(Barrier::new(1)?.wait()?.is_leader());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierWaitResult(bool);

impl BarrierWaitResult {
    /// Returns whether this one was chosen from all who waited: it is the one that came last.
    #[must_use]
    pub fn is_leader(self) -> bool {
        self.0
    }
}

/// Why a wait at a [`Barrier`] came to nothing.
///
/// # Examples
///
/// ```
/// use procession::sync::{Barrier, BarrierError};
/// use std::time::Duration;
///
/// let barrier = Barrier::new(2)?;
/// let error = barrier.wait_timeout(Duration::from_millis(10)).unwrap_err();
/// assert!(matches!(error, BarrierError::TimedOut));
/// assert!(matches!(barrier.wait().unwrap_err(), BarrierError::Broken));
/// barrier.reset();
/// assert!(!barrier.is_broken());
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum BarrierError {
    /// The barrier is broken, or was while this one waited.
    Broken,
    /// The others did not come in time. The barrier is broken now.
    TimedOut,
    /// The system refused to wait. The barrier is broken now.
    Os(io::Error),
}

impl fmt::Display for BarrierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broken => "the barrier is broken",
            Self::TimedOut => "the others did not come to the barrier in time",
            Self::Os(_) => "a barrier cannot be waited at",
        })
    }
}

impl error::Error for BarrierError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Os(error) => Some(error),
            _ => None,
        }
    }
}

impl From<BarrierError> for io::Error {
    /// Keeps the whole error.
    fn from(error: BarrierError) -> Self {
        let kind = match &error {
            BarrierError::TimedOut => io::ErrorKind::TimedOut,
            BarrierError::Os(source) => source.kind(),
            BarrierError::Broken => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

impl Serialize for Barrier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (Label::of::<()>("Barrier"), &*self.monitor).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Barrier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (label, parts) = <(Label<'_>, Parts)>::deserialize(deserializer)?;
        label.check::<(), _>("Barrier")?;
        let monitor = Monitor::open(parts, Monitor::SIZE).map_err(wire::unopened)?;
        Ok(Self {
            monitor: Arc::new(monitor),
        })
    }
}
