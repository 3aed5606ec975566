//! The children of this process that live, and what becomes of them when it ends.

use super::{Handle, life::Life, reaper};
use crate::{
    error::{Error, Result},
    start::{self, Copying},
    sys::{exit, notice::say},
};
use std::{
    collections::BTreeMap,
    process,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long a process that was asked to end at the end of its parent has before it is killed.
const LAST_GRACE: Duration = Duration::from_secs(1);

/// How long a process that was killed may take to end.
const LAST_BREATH: Duration = Duration::from_secs(5);

/// How long the end of this process can wait without a word.
const SILENCE: Duration = Duration::from_secs(5);

static REGISTRY: Mutex<Registry> = Mutex::new(Registry {
    owner: 0,
    lives: BTreeMap::new(),
    exit_grace: None,
});

struct Registry {
    /// The process that all this is about. A copy of it made by a bare `fork` has no part in its children.
    owner: u32,
    /// By their serial numbers.
    lives: BTreeMap<u64, Arc<Life>>,
    exit_grace: Option<Duration>,
}

fn registry() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has this process look after its children when it ends. Called before the first of them begins.
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

/// What a copy of this process does with what it has of us.
pub(super) const COPYING: Copying = Copying { disown, settle };

/// Gives up the parent's children, in a copy of it: they are no children of ours, and the daemons among them must not live on
/// because we do.
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
    // Outside of the lock: it may be the last that holds the descriptor.
    drop(removed);
}

/// Returns the living children of this process, the oldest first: also those whose [`Child`](crate::Child) was dropped, but not
/// the detached ones.
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
    // Outside of the lock, which reaping takes as well.
    lives.into_iter().filter(|life| life.is_alive()).collect()
}

/// Bounds how long this process waits for its children when it ends normally.
///
/// By default it waits until each child that is no daemon has ended by itself, as Python does. With a bound, those that still
/// run after `grace` get SIGTERM, and SIGKILL a second later. `None` lifts the bound. Daemons get SIGTERM at once in any case. One
/// that has not ended five seconds after SIGKILL, as one that waits in the kernel for a broken disk, is not waited for any longer.
///
/// After five seconds the wait is explained on the standard error, once, with the names and ids of the processes.
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

/// How far the end of one child has been brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Wait,
    Ask(Instant),
    Kill(Instant),
    /// It was killed, and is waited for until then.
    Killed(Instant),
    /// It was killed and does not end: it waits in the kernel, or a debugger holds it.
    GivenUp,
}

impl Step {
    fn first(life: &Life, begun: Instant, grace: Option<Duration>) -> Self {
        match grace.and_then(|grace| begun.checked_add(grace)) {
            _ if life.daemon => Self::Ask(begun),
            Some(moment) => Self::Ask(moment),
            None => Self::Wait,
        }
    }

    /// Does what is due, and returns the step after it.
    fn advance(self, life: &Life, now: Instant) -> Self {
        // What a signal cannot be sent to is gone, and the wait for it will see that.
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

    /// When the next step is due.
    fn due(self) -> Option<Instant> {
        match self {
            Self::Ask(moment) | Self::Kill(moment) | Self::Killed(moment) => Some(moment),
            Self::Wait | Self::GivenUp => None,
        }
    }
}

/// Called when this process ends normally: asks the daemons to end and kills those that do not, and waits for all others.
extern "C" fn settle() {
    let begun = Instant::now();
    let grace = registry().exit_grace;
    let mut steps = BTreeMap::new();
    let mut notice = Some(begun + SILENCE);
    loop {
        // Anew each time: other threads still run, and may start something.
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
            // Not to be left to whoever is the parent of orphans.
            start::stop_helper();
            return;
        }
        if notice.is_some_and(|moment| moment <= now) {
            notice = None;
            say(&explain(&lives));
        }
        let due = lives.iter().filter_map(|life| steps[&life.serial].due());
        let next = due.chain(notice).min();
        // One after the other, which takes a time in proportion to their number, and no descriptor: there may be more children than
        // this process may have descriptors by now.
        for life in lives {
            match life.wait(next) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}

/// How many processes are named to a person who waits for them.
const MOST_NAMES: usize = 8;

/// What a person is told who waits for this process to end.
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
