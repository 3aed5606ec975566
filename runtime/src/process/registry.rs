//! The children of this process that live, and what becomes of them when it ends.

use super::{Handle, life::Life};
use crate::{
    error::{Error, Result},
    start::Copying,
    sys::{exit, wait},
};
use std::{
    collections::BTreeMap,
    process,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long a process that was asked to end at the end of its parent has before it is killed.
const LAST_GRACE: Duration = Duration::from_secs(1);

static REGISTRY: Mutex<Registry> = Mutex::new(Registry {
    owner: 0,
    lives: Vec::new(),
    exit_grace: None,
});

struct Registry {
    /// The process that all this is about. A copy of it made by a bare `fork` has no part in its children.
    owner: u32,
    lives: Vec<Arc<Life>>,
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
    for life in lives {
        life.let_go();
    }
}

pub(super) fn add(life: Arc<Life>) {
    registry().lives.push(life);
}

pub(super) fn remove(life: &Life) {
    registry()
        .lives
        .retain(|other| !std::ptr::eq(&raw const **other, life));
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
        registry.lives.clone()
    };
    // Outside of the lock, which reaping takes as well.
    lives.into_iter().filter(|life| life.is_alive()).collect()
}

/// Bounds how long this process waits for its children when it ends normally.
///
/// By default it waits until each child that is no daemon has ended by itself, as Python does. With a bound, those that still
/// run after `grace` get SIGTERM, and SIGKILL a second later. `None` lifts the bound. Daemons get SIGTERM at once in any case.
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
    Killed,
}

/// Called when this process ends normally: asks the daemons to end and kills those that do not, and waits for all others.
extern "C" fn settle() {
    let begun = Instant::now();
    let grace = registry().exit_grace;
    let mut steps = BTreeMap::new();
    loop {
        // Anew each time: other threads still run, and may start something.
        let lives: Vec<_> = living()
            .into_iter()
            .filter(|life| !life.is_detached())
            .collect();
        if lives.is_empty() {
            return;
        }
        let now = Instant::now();
        let first = |life: &Life| match grace.and_then(|grace| begun.checked_add(grace)) {
            _ if life.daemon => Step::Ask(now),
            Some(moment) => Step::Ask(moment),
            None => Step::Wait,
        };
        let mut next: Option<Instant> = None;
        for life in &lives {
            let step = steps.entry(life.id()).or_insert_with(|| first(life));
            // What cannot be sent to is gone, and the wait below will see it.
            match *step {
                Step::Ask(moment) if moment <= now => {
                    let _ = life.signal(libc::SIGTERM);
                    *step = Step::Kill(now + LAST_GRACE);
                }
                Step::Kill(moment) if moment <= now => {
                    let _ = life.signal(libc::SIGKILL);
                    *step = Step::Killed;
                }
                _ => {}
            }
            if let Step::Ask(moment) | Step::Kill(moment) = *step {
                next = Some(next.map_or(moment, |next| next.min(moment)));
            }
        }
        let fds: Vec<_> = lives
            .iter()
            .map(|life| (std::os::fd::AsFd::as_fd(&**life), wait::For::Reading))
            .collect();
        if wait::until_ready(&fds, next).is_err() {
            return;
        }
    }
}
