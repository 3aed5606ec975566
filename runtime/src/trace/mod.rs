//! What happens to processes, as events of `tracing`.
//!
//! Nothing here is public: with the feature `tracing`, the events arrive in the subscriber of the
//! program. Their target is `procession`.

use crate::start::{self, About, Event};

/// The target of the events.
const TARGET: &str = "procession";

/// Passes the events of this process on to the subscriber of the thread that tells them.
pub(crate) fn listen() {
    start::listen(pass_on);
}

fn pass_on(event: &Event<'_>) {
    match *event {
        Event::HelperStarted { id } => tracing::debug!(target: TARGET, pid = id, "helper started"),
        Event::Spawned {
            child,
            is_spare,
            took,
        } => {
            let About {
                id,
                name,
                start_method,
            } = child;
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            tracing::debug!(target: TARGET, pid = id, name, %start_method, spare = is_spare, micros, "spawned");
        }
        Event::Refused { name, error } => {
            let error: &dyn std::error::Error = error;
            tracing::debug!(target: TARGET, name, error, "not spawned");
        }
        Event::Ended { child, status } => {
            let About { id, name, .. } = child;
            let status = status.map(tracing::field::display);
            tracing::debug!(target: TARGET, pid = id, name, status, "ended");
        }
    }
}
