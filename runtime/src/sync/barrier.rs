//! A place where processes wait for each other.

use super::{
    monitor::{Monitor, Parts, Rules, in_a_moment},
    state::{OWN, Post, Settle, State},
};
use crate::{
    error::Result,
    sys::{step::step as point, wait},
    wire::{self, Label},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
    error, fmt, io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// A place where a number of processes wait until all of them are there, over and over:
/// [`std::sync::Barrier`] for processes.
///
/// A clone is a handle to the same barrier, and so is what another process gets to which one is
/// sent.
///
/// # Broken
///
/// A barrier breaks when a wait comes to its [time](Self::wait_timeout), when somebody
/// [aborts](Self::abort) it, when an [action](Self::wait_with) panics, and when a process ends,
/// however it does, while it waits. All who wait get [`BarrierError::Broken`] at once then, and so
/// do those who come later, until the barrier is [reset](Self::reset). If a process ends before it
/// comes, nobody learns of it here.
///
/// # Stopped processes
///
/// A process that is stopped (SIGSTOP, a debugger) after it has come is there, and delays nobody.
/// If it is stopped in the very instant in which it comes or goes, nobody else can come or go until
/// it goes on or ends. But [`wait_timeout`](Self::wait_timeout) returns a tenth of a second after
/// its time at most, and [`abort`](Self::abort) and [`reset`](Self::reset) take no longer than
/// that. What they do takes effect for the others when the stopped process goes on or ends.
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
    pub(super) monitor: Arc<Monitor>,
}

/// How many wait for each other.
const PARTIES: usize = OWN;
/// How often that was over, however it ended.
const GENERATION: usize = OWN + 1;
/// How many of this generation are there.
const ARRIVED: usize = OWN + 2;
/// Whether it is broken.
const BROKEN: usize = OWN + 3;
/// Which generation was decided last, and how it ends: see [`decide`]. It is changed without the
/// lock, too: no log contains it.
const DECIDED: usize = OWN + 4;

/// How the wait of a seat ended: zero while it has not.
const PASSED: u64 = 1;
const SPOILED: u64 = 2;

/// What is counted of the posts in a seat: that its wait left it.
const LEFT: usize = 0;

/// What is requested without a seat, in the lowest bit: to break the barrier, or to reset it. The
/// other bits count the requests. All of them end the generation, and the last one says what comes
/// then.
const SETTLE: Settle = Settle {
    seat: settle,
    request,
};
const ABORT: u64 = 0;
const RESET: u64 = 1;

/// Each wait has a seat of its own: its generation, counted from one, and how it ended.
const RULES: Rules = Rules {
    // Each process that is there could spoil it by its end.
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
    settle(state, seat);
    if waiting(state).contains(&seat) {
        end(state, SPOILED, |_| true, None);
    }
    leave(state, seat);
}

/// Decides how a generation ends, unless that is decided; returns how it ends, and whether this
/// call has decided it. A generation that was followed by another has ended: its seats know how.
///
/// A wait whose time is up can fail to get the lock because the last one to come is stopped with
/// it, anywhere in the change by which all pass. So the decision is one atomic operation, which
/// needs no lock: either all pass, and so does that wait, or it was first, and nobody passes.
fn decide(decided: &AtomicU64, generation: u64, how: u64) -> (u64, bool) {
    point();
    let update = |last: u64| (last >> 2 < generation).then_some(generation << 2 | how);
    match decided.fetch_update(Ordering::AcqRel, Ordering::Acquire, update) {
        Ok(_) => (how, true),
        Err(last) => (last & 3, false),
    }
}

/// Ends this generation: all who wait go on. It ends as was decided before, or else in this way;
/// returns how, and whether this call has decided it.
fn end(
    state: &State<'_>,
    how: u64,
    is_broken: impl Fn(u64) -> bool,
    request: Option<u64>,
) -> (u64, bool) {
    let generation = state.get(GENERATION).saturating_add(1);
    let (how, is_ours) = decide(state.word(DECIDED), generation, how);
    let ends = waiting(state)
        .into_iter()
        .map(|seat| (State::own(seat).1, how));
    let changes = [
        (GENERATION, generation),
        (ARRIVED, 0),
        (BROKEN, is_broken(how).into()),
    ];
    let all = ends.chain(changes).chain(request.map(State::applied));
    state.ring();
    state.change(all);
    (how, is_ours)
}

fn leave(state: &State<'_>, seat: usize) {
    let (generation, end) = State::own(seat);
    let [one, other] = state.settled(seat, state.unsettled(seat));
    state.change([(generation, 0), (end, 0), one, other]);
}

/// The wait of this seat has left it, if that was posted.
fn settle(state: &State<'_>, seat: usize) {
    if state.unsettled(seat) == [0; 2] {
        return;
    }
    if waiting(state).contains(&seat) {
        end(state, SPOILED, |how| how == SPOILED, None);
    }
    leave(state, seat);
}

fn request(state: &State<'_>, requested: u64) {
    let is_broken = requested & 1 == ABORT;
    end(state, SPOILED, |_| is_broken, Some(requested));
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

/// Takes a seat if there is none yet, and looks how the wait has ended. Returns none while somebody
/// is missing.
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
    state.change([(State::own(taken).0, generation), (ARRIVED, arrived)]);
    *seat = Some(taken);
    Ok((arrived == parties).then_some(Step::Last))
}

impl Barrier {
    /// Makes one for this number of processes or threads. Zero counts as one: nobody waits then.
    ///
    /// # Errors
    ///
    /// When the system has no memory or no descriptor to give.
    pub fn new(parties: usize) -> Result<Self> {
        let parties = parties.max(1) as u64;
        let monitor = Monitor::create(Monitor::SIZE, &[parties], &SETTLE)
            .map_err(|error| crate::error::Error::os("a barrier cannot be made", error))?;
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

    /// Waits until all are there, and then runs the action of the one that came last, before any
    /// goes on.
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

    /// Waits until all are there, but no longer than that. If they are not there then, the barrier
    /// is broken. This takes a tenth of a second more at most, whoever is
    /// [stopped](Self#stopped-processes).
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
        let mut has_looked = false;
        let steps = |state: &State<'_>, _| {
            has_looked = true;
            step(state, &mut seat.taken).transpose()
        };
        match self
            .monitor
            .wait(deadline, &RULES, steps)
            .and_then(Option::transpose)
        {
            Ok(Some(Step::Passed)) => Ok(BarrierWaitResult(false)),
            Ok(Some(Step::Broken)) => Err(BarrierError::Broken),
            Ok(Some(Step::Last)) => self.complete(seat, deadline, action),
            Ok(None) if !has_looked => Err(self.fail_to_come()),
            Ok(None) => seat.give_up(),
            Err(error) => Err(BarrierError::Os(error)),
        }
    }

    /// The time of a wait was up before it could take a seat: another process has stopped with the
    /// lock. The others would wait for it in vain.
    fn fail_to_come(&self) -> BarrierError {
        let Some(state) = self.monitor.lock_to_give() else {
            self.request(ABORT);
            return BarrierError::TimedOut;
        };
        if state.get(BROKEN) != 0 {
            return BarrierError::Broken;
        }
        // If all are there, this one is of the next generation, and nobody waits for it.
        if state.get(ARRIVED) < state.get(PARTIES) {
            end(&state, SPOILED, |_| true, None);
        }
        BarrierError::TimedOut
    }

    /// All are there, and this one came last.
    fn complete(
        &self,
        mut seat: Seat<'_>,
        deadline: Option<Instant>,
        action: impl FnOnce(),
    ) -> Result<BarrierWaitResult, BarrierError> {
        // Somebody may have been killed whose end nobody has seen yet.
        self.monitor.reap(&RULES).map_err(BarrierError::Os)?;
        // All are known to be there. It may take a moment to say so.
        let lock = || {
            let until = deadline.map(|deadline| deadline.max(in_a_moment()));
            let state = self.monitor.lock_until(until);
            state.map_err(BarrierError::Os)
        };
        let Some(state) = lock()? else {
            return seat.give_up();
        };
        let is_over = seat
            .taken
            .is_none_or(|seat| how_ended(&state, seat).is_some());
        drop(state);
        if !is_over {
            action();
        }
        let Some(state) = lock()? else {
            return seat.give_up();
        };
        match seat.end(&state, PASSED) {
            (PASSED, _) => Ok(BarrierWaitResult(true)),
            _ => Err(BarrierError::Broken),
        }
    }

    /// Breaks the barrier. Does not wait for longer than a tenth of a second, whoever is
    /// [stopped](Self#stopped-processes).
    pub fn abort(&self) {
        self.interrupt(ABORT);
    }

    /// Makes the barrier as it was in the beginning. Those who wait get [`BarrierError::Broken`].
    /// Does not wait for longer than a tenth of a second, whoever is
    /// [stopped](Self#stopped-processes).
    pub fn reset(&self) {
        self.interrupt(RESET);
    }

    fn interrupt(&self, kind: u64) {
        if let Some(state) = self.monitor.lock_to_give() {
            end(&state, SPOILED, |_| kind == ABORT, None);
            return;
        }
        self.request(kind);
    }

    fn request(&self, kind: u64) {
        let next = |last: u64| (last | 1).wrapping_add(1) | kind;
        self.monitor.post(|post| post.request(next));
    }

    /// Returns whether the barrier is broken. If a process is [stopped](Self#stopped-processes) in
    /// the instant in which it comes or goes, this takes a tenth of a second, and says what was
    /// before.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.look(BROKEN) != 0
    }

    /// Returns how many wait for each other.
    #[must_use]
    pub fn parties(&self) -> usize {
        usize::try_from(self.monitor.peek(PARTIES)).unwrap_or(usize::MAX)
    }

    /// Returns how many wait at the moment. It may be another number by now. As for stopped
    /// processes, see [`is_broken`](Self::is_broken).
    #[must_use]
    pub fn n_waiting(&self) -> usize {
        usize::try_from(self.look(ARRIVED)).unwrap_or(usize::MAX)
    }

    fn look(&self, word: usize) -> u64 {
        // If that cannot be found out, the answer is the one before.
        let _ = self.monitor.reap(&RULES);
        self.monitor.peek(word)
    }
}

/// The seat of a wait, if it has one. Whoever leaves it before the wait is over breaks the barrier.
struct Seat<'a> {
    monitor: &'a Monitor,
    taken: Option<usize>,
}

impl Seat<'_> {
    /// Ends the wait of all in this way, unless that is decided, and leaves the seat; returns how
    /// it ends, and whether this call has decided it.
    fn end(&mut self, state: &State<'_>, how: u64) -> (u64, bool) {
        let Some(seat) = self.taken.take() else {
            return (how, true);
        };
        let result = match how_ended(state, seat) {
            Some(how) => (how, false),
            None => end(state, how, |how| how == SPOILED, None),
        };
        leave(state, seat);
        result
    }

    /// Does the same without the lock, to spoil it.
    fn post(&mut self) -> (u64, bool) {
        let Some(seat) = self.taken.take() else {
            return (SPOILED, true);
        };
        let (generation, end) = State::own(seat);
        self.monitor.post(|post: Post<'_>| {
            let generation = post.word(generation).load(Ordering::Relaxed);
            let decided = decide(post.word(DECIDED), generation, SPOILED);
            // If a later generation was decided, then this one has ended, and how can be read now.
            let ended = post.word(end).load(Ordering::Acquire);
            post.give_back(seat, LEFT, 1);
            match ended {
                0 => decided,
                how => (how, false),
            }
        })
    }

    /// Leaves the seat because the time is up, or the action has panicked.
    fn give_up(&mut self) -> Result<BarrierWaitResult, BarrierError> {
        if self.taken.is_none() {
            return Err(BarrierError::TimedOut);
        }
        let ended = match self.monitor.lock_to_give() {
            Some(state) => self.end(&state, SPOILED),
            None => self.post(),
        };
        match ended {
            // It was over at the same moment.
            (PASSED, _) => Ok(BarrierWaitResult(false)),
            (_, true) => Err(BarrierError::TimedOut),
            (_, false) => Err(BarrierError::Broken),
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        // Nobody waits for the result any more.
        let _ = self.give_up();
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
        let monitor = Monitor::open(parts, Monitor::SIZE, &SETTLE).map_err(wire::unopened)?;
        Ok(Self {
            monitor: Arc::new(monitor),
        })
    }
}
