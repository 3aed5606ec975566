//! What is known of a call apart from its types.

use std::sync::atomic::{AtomicU64, Ordering};

/// What generated code says about a call, apart from its types.
#[derive(Debug)]
pub struct Meta {
    name: &'static str,
    spawned: AtomicU64,
}

impl Meta {
    /// Describes a call of a function or struct of this name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            spawned: AtomicU64::new(0),
        }
    }

    /// Returns the next name for a process of it: `task-1`, `task-2`.
    pub(crate) fn next_name(&self) -> String {
        format!(
            "{}-{}",
            self.name,
            self.spawned.fetch_add(1, Ordering::Relaxed) + 1
        )
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }
}
