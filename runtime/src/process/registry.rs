//! The living children of this process, and how they end when this process does.

use super::{Handle, life::Life, reaper};
use crate::{
    error::{Error, Result},
    start::{self, AtExit, Copying, LAST_BREATH},
    sys::{
        exit,
        notice::say,
        per_process::{Owned, PerProcess},
        signal,
    },
};
use std::{
    collections::BTreeMap,
    io, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The time from SIGTERM to SIGKILL when this process ends.
const LAST_GRACE: Duration = Duration::from_secs(1);

/// How long the end of this process waits before it prints why.
const SILENCE: Duration = Duration::from_secs(5);

static REGISTRY: PerProcess<Registry> = PerProcess::new(Registry {
    settles_at_exit: false,
    lives: BTreeMap::new(),
    exit_grace: None,
});

struct Registry {
    /// Whether this process settles its children when it ends. A copy of it does too.
    settles_at_exit: bool,
    /// The children by their serial numbers.
    lives: BTreeMap<u64, Arc<Life>>,
    exit_grace: Option<Duration>,
}

fn registry() -> MutexGuard<'static, Owned<Registry>> {
    REGISTRY.lock(|registry| registry.lives.clear())
}

/// Makes this process settle its children when it ends. Called before the first child starts.
pub(super) fn prepare() -> Result<()> {
    let mut registry = registry();
    if !registry.settles_at_exit {
        exit::at_exit(settle)
            .map_err(|source| Error::os("the end of this process cannot be watched", source))?;
        registry.settles_at_exit = true;
    }
    Ok(())
}

/// What is called before the children are settled.
static BEFORE: Mutex<Vec<fn()>> = Mutex::new(Vec::new());

/// Calls `act` when this process ends normally, before its children are settled: whoever starts
/// children in the background stops that.
#[cfg(feature = "pool")]
pub(crate) fn before_end(act: fn()) {
    BEFORE
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(act);
}

/// What a forked copy of this process calls: `disown` at its beginning, `settle` at its end.
pub(super) const COPYING: Copying = Copying { disown, settle };

/// Forgets the parent's children, in a forked copy of the parent. They are not children of the
/// copy, and daemons among them must not live on because the copy does.
fn disown() {
    let mut lives = BTreeMap::new();
    drop(REGISTRY.lock(|registry| lives = mem::take(&mut registry.lives)));
    for life in lives.values() {
        life.let_go();
    }
    reaper::disown();
}

pub(super) fn add(life: Arc<Life>) {
    registry().lives.insert(life.serial, life);
}

pub(super) fn remove(life: &Life) {
    let removed = registry().lives.remove(&life.serial);
    // Dropped after the lock is released: this may be the last owner of the descriptor.
    drop(removed);
}

/// Returns the living children of this process, the oldest first. Children whose
/// [`Child`](crate::Child) was dropped are included, detached children are not.
///
/// # Examples
///
/// ```
/// use procession::{children, process};
/// use std::time::Duration;
///
/// #[process]
/// fn sleepy() {
///     std::thread::sleep(Duration::from_secs(60));
/// }
///
/// let child = sleepy::spawn()?;
/// assert!(children().iter().any(|handle| handle.id() == child.id()));
/// child.kill()?;
/// child.join().unwrap_err();
/// # Ok::<(), procession::Error>(())
/// ```
#[must_use]
#[doc(alias = "active_children")]
pub fn children() -> Vec<Handle> {
    let lives = living();
    lives
        .into_iter()
        .filter(|life| !life.is_detached())
        .map(Handle::new)
        .collect()
}

fn living() -> Vec<Arc<Life>> {
    let lives: Vec<_> = registry().lives.values().cloned().collect();
    // After the lock is released, because reaping takes the same lock.
    lives.into_iter().filter(|life| life.is_alive()).collect()
}

/// Limits how long this process waits for its children when it ends normally.
///
/// By default there is no limit: the process waits until each child that is not a daemon has ended
/// by itself, as Python does. With a limit, children that still run after `grace` get SIGTERM, and
/// SIGKILL a second later. `None` removes the limit. Daemons always get SIGTERM at once. A child
/// that has not ended five seconds after SIGKILL, for example because it waits in the kernel for a
/// broken disk, is not waited for any longer.
///
/// After five seconds of waiting, a message on the standard error explains the wait, once, with the
/// names and ids of the processes.
///
/// # Examples
///
/// ```
/// use procession::set_exit_grace;
/// use std::time::Duration;
///
/// set_exit_grace(Duration::from_secs(5));
/// ```
pub fn set_exit_grace(grace: impl Into<Option<Duration>>) {
    registry().exit_grace = grace.into();
}

/// A child that this process settles when it ends.
trait Settled {
    fn serial(&self) -> u64;
    fn at_exit(&self) -> AtExit;
    fn is_detached(&self) -> bool;
    fn signal(&self, number: i32) -> io::Result<()>;
}

impl Settled for Arc<Life> {
    fn serial(&self) -> u64 {
        self.serial
    }

    fn at_exit(&self) -> AtExit {
        self.bond.at_exit
    }

    fn is_detached(&self) -> bool {
        Life::is_detached(self)
    }

    fn signal(&self, number: i32) -> io::Result<()> {
        Life::signal(self, number)
    }
}

/// The next step towards the end of one child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Wait,
    Ask(Instant),
    Kill(Instant),
    /// The child was killed. It is waited for until this moment.
    Killed(Instant),
    /// The child was killed and does not end: it waits in the kernel, or a debugger holds it.
    GivenUp,
}

impl Step {
    /// Does the step if it is due, and returns the next step.
    fn advance(self, child: &impl Settled, now: Instant) -> Self {
        // If the child is gone, the wait for it will see that. If a signal cannot be sent because
        // the child has changed its user, the last step gives the child up.
        match self {
            Self::Ask(moment) if moment <= now => {
                let _ = child.signal(signal::SIGTERM);
                Self::Kill(now + LAST_GRACE)
            }
            Self::Kill(moment) if moment <= now => {
                let _ = child.signal(signal::SIGKILL);
                Self::Killed(now + LAST_BREATH)
            }
            Self::Killed(moment) if moment <= now => Self::GivenUp,
            step => step,
        }
    }

    /// Returns when the step is due.
    fn due(self) -> Option<Instant> {
        match self {
            Self::Ask(moment) | Self::Kill(moment) | Self::Killed(moment) => Some(moment),
            Self::Wait | Self::GivenUp => None,
        }
    }
}

/// How far the end of each child is.
struct Settlement {
    begun: Instant,
    grace: Option<Duration>,
    steps: BTreeMap<u64, Step>,
}

impl Settlement {
    /// Does what is due for these children. Keeps those that are to be waited for, and returns when
    /// the next step is due.
    fn advance<C: Settled>(&mut self, children: &mut Vec<C>, now: Instant) -> Option<Instant> {
        children.retain(|child| {
            if child.is_detached() {
                return false;
            }
            let first = self.first(child);
            let step = self.steps.entry(child.serial()).or_insert(first);
            *step = step.advance(child, now);
            *step != Step::GivenUp
        });
        let steps = children.iter().map(|child| self.steps[&child.serial()]);
        steps.filter_map(Step::due).min()
    }

    fn first(&self, child: &impl Settled) -> Step {
        let limit = self.grace.and_then(|grace| self.begun.checked_add(grace));
        match limit {
            _ if child.at_exit() == AtExit::Terminate => Step::Ask(self.begun),
            Some(moment) => Step::Ask(moment),
            None => Step::Wait,
        }
    }

    /// Waits for this child no longer.
    fn give_up(&mut self, child: &impl Settled) {
        self.steps.insert(child.serial(), Step::GivenUp);
    }
}

/// Settles the children when this process ends normally: sends SIGTERM to the daemons, kills those
/// that do not end, and waits for all other children.
extern "C" fn settle() {
    let before = mem::take(&mut *BEFORE.lock().unwrap_or_else(PoisonError::into_inner));
    for act in before {
        act();
    }
    let begun = Instant::now();
    let mut settlement = Settlement {
        begun,
        grace: registry().exit_grace,
        steps: BTreeMap::new(),
    };
    let mut notice = Some(begun + SILENCE);
    loop {
        // List the children anew each time: other threads still run and may start some.
        let mut lives = living();
        let now = Instant::now();
        let due = settlement.advance(&mut lives, now);
        if lives.is_empty() {
            // Stop the helper here, so that it is not left to the parent of orphans.
            start::stop_helper();
            return;
        }
        if notice.is_some_and(|moment| moment <= now) {
            notice = None;
            say(&explain(&lives));
        }
        let next = due.into_iter().chain(notice).min();
        // Wait for one child after the other. The time is proportional to the number of children,
        // and no further descriptors are needed: there may be more children than this process may
        // open descriptors by now.
        for life in lives {
            match life.wait(next) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                // The others can still be waited for.
                Err(_) => settlement.give_up(&life),
            }
        }
    }
}

/// The most processes that the message names.
const MOST_NAMES: usize = 8;

/// Returns the message to a person who waits for this process to end.
fn explain(lives: &[Arc<Life>]) -> String {
    let names = lives.iter().take(MOST_NAMES);
    let names: Vec<_> = names
        .map(|life| format!("`{}` (pid {})", life.name, life.id()))
        .collect();
    let more = lives.len() - names.len();
    let (count, names) = (lives.len(), names.join(", "));
    let (processes, they) = if count == 1 {
        ("process", "it has")
    } else {
        ("processes", "they have")
    };
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!(
        "procession: waiting at exit for {count} {processes}: {names}{more}\n\
         procession: the program ends when {they} ended. To end it earlier, join or kill a child, start it as a daemon \
         or with `kill_on_drop`, detach it, or call `set_exit_grace`.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::{LAST_BREATH, LAST_GRACE, Settled, Settlement};
    use crate::{start::AtExit, sys::signal};
    use std::{
        cell::RefCell,
        collections::BTreeMap,
        io,
        time::{Duration, Instant},
    };

    const SECOND: Duration = Duration::from_secs(1);

    /// A child that ends by nothing.
    struct Fake {
        serial: u64,
        at_exit: AtExit,
        is_detached: bool,
        /// Whether it is another user's by now.
        is_foreign: bool,
        got: RefCell<Vec<i32>>,
    }

    fn child(serial: u64) -> Fake {
        Fake {
            serial,
            at_exit: AtExit::Join,
            is_detached: false,
            is_foreign: false,
            got: RefCell::default(),
        }
    }

    fn daemon(serial: u64) -> Fake {
        Fake {
            at_exit: AtExit::Terminate,
            ..child(serial)
        }
    }

    impl Settled for &Fake {
        fn serial(&self) -> u64 {
            self.serial
        }

        fn at_exit(&self) -> AtExit {
            self.at_exit
        }

        fn is_detached(&self) -> bool {
            self.is_detached
        }

        fn signal(&self, number: i32) -> io::Result<()> {
            if self.is_foreign {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            self.got.borrow_mut().push(number);
            Ok(())
        }
    }

    fn settlement(begun: Instant, grace: Option<Duration>) -> Settlement {
        Settlement {
            begun,
            grace,
            steps: BTreeMap::new(),
        }
    }

    /// Returns the serial numbers of those that are waited for, and for how long.
    fn advance(
        settlement: &mut Settlement,
        children: &[&Fake],
        now: Instant,
    ) -> (Vec<u64>, Option<Duration>) {
        let mut left = children.to_vec();
        let due = settlement.advance(&mut left, now);
        let serials = left.iter().map(|child| child.serial).collect();
        (serials, due.map(|due| due - now))
    }

    #[test]
    fn daemon_is_asked_then_killed_then_given_up() {
        for is_foreign in [false, true] {
            let now = Instant::now();
            let mut settlement = settlement(now, None);
            let daemon = Fake {
                is_foreign,
                ..daemon(1)
            };
            let mut at = |now| advance(&mut settlement, &[&daemon], now);
            assert_eq!(at(now), (vec![1], Some(LAST_GRACE)));
            let (early, killed) = (now + LAST_GRACE / 2, now + LAST_GRACE);
            assert_eq!(at(early), (vec![1], Some(killed - early)));
            assert_eq!(at(killed), (vec![1], Some(LAST_BREATH)));
            assert_eq!(at(killed + LAST_BREATH), (vec![], None));
            let got: &[i32] = if is_foreign {
                &[]
            } else {
                &[signal::SIGTERM, signal::SIGKILL]
            };
            assert_eq!(*daemon.got.borrow(), got);
        }
    }

    #[test]
    fn other_children_are_waited_for_as_long_as_the_grace() {
        let now = Instant::now();
        let (child, year) = (child(1), 365 * 24 * 3600 * SECOND);
        // A time that the clock cannot tell is no limit.
        for grace in [None, Some(Duration::MAX)] {
            let mut without = settlement(now, grace);
            assert_eq!(
                advance(&mut without, &[&child], now + year),
                (vec![1], None)
            );
        }
        let mut settlement = settlement(now, Some(5 * SECOND));
        let mut at = |now| advance(&mut settlement, &[&child], now);
        assert_eq!(at(now), (vec![1], Some(5 * SECOND)));
        assert!(child.got.borrow().is_empty());
        assert_eq!(at(now + 5 * SECOND), (vec![1], Some(LAST_GRACE)));
        assert_eq!(*child.got.borrow(), [signal::SIGTERM]);
    }

    #[test]
    fn child_that_is_started_meanwhile_is_settled_as_well() {
        let now = Instant::now();
        let mut settlement = settlement(now, Some(2 * SECOND));
        let (first, late, late_daemon) = (child(1), child(2), daemon(3));
        advance(&mut settlement, &[&first], now);
        let all = [&first, &late, &late_daemon];
        // The grace is that of the process, not of each child.
        let (left, due) = advance(&mut settlement, &all, now + SECOND);
        assert_eq!((left, due), (vec![1, 2, 3], Some(SECOND.min(LAST_GRACE))));
        assert_eq!(*late_daemon.got.borrow(), [signal::SIGTERM]);
        advance(&mut settlement, &all, now + 2 * SECOND);
        assert_eq!(*late.got.borrow(), [signal::SIGTERM]);
    }

    #[test]
    fn child_whose_wait_fails_keeps_nobody_from_the_others() {
        let now = Instant::now();
        let mut settlement = settlement(now, None);
        let (lost, other) = (child(1), child(2));
        let both = [&lost, &other];
        assert_eq!(advance(&mut settlement, &both, now).0, [1, 2]);
        settlement.give_up(&&lost);
        assert_eq!(advance(&mut settlement, &both, now).0, [2]);
    }

    #[test]
    fn detached_child_is_neither_waited_for_nor_signalled() {
        let now = Instant::now();
        let mut settlement = settlement(now, Some(Duration::ZERO));
        let detached = Fake {
            is_detached: true,
            ..child(1)
        };
        assert_eq!(advance(&mut settlement, &[&detached], now), (vec![], None));
        assert!(detached.got.borrow().is_empty());
    }
}
