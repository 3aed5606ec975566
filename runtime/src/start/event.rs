//! What happens to the processes that this one starts, for whoever listens.
//!
//! Logs, timelines and counters live outside of the floors that do the work: those tell events, and
//! know nothing of what is done with them. As long as nobody listens, an event costs one load.

use super::StartMethod;
use std::{process::ExitStatus, sync::OnceLock, time::Duration};

/// Something that has happened in this process, told by the thread that found it out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event<'a> {
    /// A helper is used for the first time: the first one, or one that replaces another.
    HelperStarted { id: u32 },
    /// A child has reached its function, or its time was over before. `took` counts from the call
    /// of `spawn`.
    Spawned {
        child: About<'a>,
        is_spare: bool,
        took: Duration,
    },
    /// A child could not be started.
    Refused {
        name: &'a str,
        error: &'a crate::error::Error,
    },
    /// A child has ended and was reaped. `status` is `None` if somebody else has reaped it.
    Ended {
        child: About<'a>,
        status: Option<ExitStatus>,
    },
}

/// The child that an event is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    pub(crate) id: u32,
    pub(crate) name: &'a str,
    pub(crate) start_method: StartMethod,
}

/// What is called with each event. No lock of this crate is held meanwhile.
pub(crate) type Listener = fn(&Event<'_>);

static LISTENER: OnceLock<Listener> = OnceLock::new();

/// Calls the listener with each event from now on. The first listener stays.
#[cfg(any(test, feature = "tracing"))]
pub(crate) fn listen(listener: Listener) {
    let _ = LISTENER.set(listener);
}

/// Tells an event, which is made only if somebody listens.
pub(crate) fn tell<'a>(event: impl FnOnce() -> Event<'a>) {
    if let Some(listener) = LISTENER.get() {
        listener(&event());
    }
}
