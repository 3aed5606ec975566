//! The living children of this process, and how they end when this process does.

use super::{Handle, life::Life, reaper};
use crate::{
    error::{Error, Result},
    start::{self, AtExit, Copying, LAST_BREATH},
    sys::{exit, notice::say},
};
use std::{
    collections::BTreeMap,
    process,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The time from SIGTERM to SIGKILL when this process ends.
const LAST_GRACE: Duration = Duration::from_secs(1);

/// How long the end of this process waits before it prints why.
const SILENCE: Duration = Duration::from_secs(5);

static REGISTRY: Mutex<Registry> = Mutex::new(Registry {
    owner: 0,
    lives: BTreeMap::new(),
    exit_grace: None,
});

struct Registry {
    /// The process whose children these are. A copy of it that a bare `fork` made has no part in
    /// them.
    owner: u32,
    /// The children by their serial numbers.
    lives: BTreeMap<u64, Arc<Life>>,
    exit_grace: Option<Duration>,
}

fn registry() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes this process settle its children when it ends. Called before the first child starts.
pub(super) fn prepare() -> Result<()> {
    let mut registry = registry();
    let this = process::id();
    if registry.owner == 0 {
        exit::at_exit(settle)
            .map_err(|source| Error::os("the end of this process cannot be watched", source))?;
    }
    if registry.owner != this {
        registry.owner = this;
        registry.lives.clear();
    }
    Ok(())
}

/// What a forked copy of this process calls: `disown` at its beginning, `settle` at its end.
pub(super) const COPYING: Copying = Copying { disown, settle };

/// Forgets the parent's children, in a forked copy of the parent. They are not children of the
/// copy, and daemons among them must not live on because the copy does.
fn disown() {
    let mut registry = registry();
    registry.owner = process::id();
    let lives = std::mem::take(&mut registry.lives);
    drop(registry);
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
    let lives = {
        let registry = registry();
        if registry.owner != process::id() {
            return Vec::new();
        }
        registry.lives.values().cloned().collect::<Vec<_>>()
    };
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
    fn first(life: &Life, begun: Instant, grace: Option<Duration>) -> Self {
        match grace.and_then(|grace| begun.checked_add(grace)) {
            _ if life.bond.at_exit == AtExit::Terminate => Self::Ask(begun),
            Some(moment) => Self::Ask(moment),
            None => Self::Wait,
        }
    }

    /// Does the step if it is due, and returns the next step.
    fn advance(self, life: &Life, now: Instant) -> Self {
        // If the child is gone, the wait for it will see that. If a signal cannot be sent because
        // the child has changed its user, the last step gives the child up.
        match self {
            Self::Ask(moment) if moment <= now => {
                let _ = life.signal(libc::SIGTERM);
                Self::Kill(now + LAST_GRACE)
            }
            Self::Kill(moment) if moment <= now => {
                let _ = life.signal(libc::SIGKILL);
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

/// Settles the children when this process ends normally: sends SIGTERM to the daemons, kills those
/// that do not end, and waits for all other children.
extern "C" fn settle() {
    let begun = Instant::now();
    let grace = registry().exit_grace;
    let mut steps = BTreeMap::new();
    let mut notice = Some(begun + SILENCE);
    loop {
        // List the children anew each time: other threads still run and may start some.
        let mut lives = living();
        let now = Instant::now();
        lives.retain(|life| {
            let step = steps
                .entry(life.serial)
                .or_insert_with(|| Step::first(life, begun, grace));
            if !life.is_detached() {
                *step = step.advance(life, now);
            }
            !life.is_detached() && *step != Step::GivenUp
        });
        if lives.is_empty() {
            // Stop the helper here, so that it is not left to the parent of orphans.
            start::stop_helper();
            return;
        }
        if notice.is_some_and(|moment| moment <= now) {
            notice = None;
            say(&explain(&lives));
        }
        let due = lives.iter().filter_map(|life| steps[&life.serial].due());
        let next = due.chain(notice).min();
        // Wait for one child after the other. The time is proportional to the number of children,
        // and no further descriptors are needed: there may be more children than this process may
        // open descriptors by now.
        for life in lives {
            match life.wait(next) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                // The others can still be waited for.
                Err(_) => drop(steps.insert(life.serial, Step::GivenUp)),
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
