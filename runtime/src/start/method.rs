//! The start methods.

use serde::{Deserialize, Serialize};
use std::{
    fmt,
    sync::atomic::{AtomicU8, Ordering},
};

/// How a process is made.
///
/// # Examples
///
/// ```
/// use procession::{Builder, StartMethod, process};
///
/// #[process]
/// fn task() {}
///
/// let child = Builder::new().start_method(StartMethod::Spawn).spawn(task::new())?;
/// assert_eq!(child.start_method(), StartMethod::Spawn);
/// child.join()?;
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum StartMethod {
    /// Runs the executable anew, and enters the function before `main`: the child shares nothing with its parent but what it
    /// is given.
    Spawn,
}

/// The method of processes that name none, as a number that fits an atomic.
static DEFAULT: AtomicU8 = AtomicU8::new(0);

/// Every method, in the order of their numbers.
const ALL: [StartMethod; 1] = [StartMethod::Spawn];

/// Sets the start method of every process that is started from now on and whose [`Builder`](crate::Builder) and attribute name
/// none.
///
/// The setting is this process's own: a child starts with the default again.
///
/// # Examples
///
/// ```
/// use procession::{StartMethod, set_start_method};
///
/// set_start_method(StartMethod::Spawn);
/// ```
pub fn set_start_method(method: StartMethod) {
    let number = ALL
        .iter()
        .position(|other| *other == method)
        .unwrap_or_default();
    DEFAULT.store(u8::try_from(number).unwrap_or_default(), Ordering::Relaxed);
}

impl Default for StartMethod {
    /// Returns what [`set_start_method`] has set, or else [`StartMethod::Spawn`].
    fn default() -> Self {
        ALL[usize::from(DEFAULT.load(Ordering::Relaxed))]
    }
}

impl fmt::Display for StartMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spawn => "spawn",
        })
    }
}
