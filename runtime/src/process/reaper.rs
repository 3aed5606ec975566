//! Reaping the children that nobody will join.
//!
//! A child whose [`Child`](super::Child) was dropped while it ran would be a zombie from its end to ours. A thread waits for such
//! children, and ends with the last of them: a program that joins its children never has it.

use super::life::Life;
use crate::sys::{
    signal,
    wait::{self, For},
};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::{
    io,
    os::fd::AsFd,
    process,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

static REAPER: Mutex<Reaper> = Mutex::new(Reaper {
    owner: 0,
    adopted: Vec::new(),
    wake: None,
});

struct Reaper {
    /// The process whose thread it is: a copy made by a bare `fork` has none.
    owner: u32,
    adopted: Vec<Arc<Life>>,
    /// Tells the thread that there is another one; none while there is no thread.
    wake: Option<Arc<EventFd>>,
}

fn reaper() -> MutexGuard<'static, Reaper> {
    REAPER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has the child reaped when it ends.
///
/// Where no thread can be had for it, it stays a zombie until the next child is adopted, or until the end.
pub(super) fn adopt(life: Arc<Life>) {
    let mut reaper = reaper();
    let this = process::id();
    if reaper.owner != this {
        *reaper = Reaper {
            owner: this,
            adopted: Vec::new(),
            wake: None,
        };
    }
    reaper.adopted.push(life);
    match &reaper.wake {
        // A counter that cannot be raised further has been raised.
        Some(wake) => drop(wake.write(1)),
        None => reaper.wake = start().ok(),
    }
}

fn start() -> io::Result<Arc<EventFd>> {
    let wake = Arc::new(EventFd::from_flags(
        EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK,
    )?);
    let ours = Arc::clone(&wake);
    thread::Builder::new()
        .name("procession-reap".into())
        .spawn(move || reap(&ours))?;
    Ok(wake)
}

fn reap(wake: &EventFd) {
    // The program's signal handlers are no business of this thread. It works with them as well.
    let _ = signal::set_mask(signal::Mask::MAX);
    loop {
        // A counter that nobody has raised has nothing to say.
        let _ = wake.read();
        let adopted = {
            let mut reaper = reaper();
            reaper.adopted.retain(|life| life.is_alive());
            if reaper.adopted.is_empty() {
                reaper.wake = None;
                return;
            }
            reaper.adopted.clone()
        };
        let pidfds = adopted.iter().map(|life| (life.as_fd(), For::Reading));
        let fds: Vec<_> = [(wake.as_fd(), For::Reading)]
            .into_iter()
            .chain(pidfds)
            .collect();
        if wait::until_ready(&fds, None).is_err() {
            reaper().wake = None;
            return;
        }
    }
}
