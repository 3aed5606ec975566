//! How long the two sides of a start wait for each other.

use std::time::Duration;

/// How long a new child may make no progress on its way to its function. It is enough for a machine
/// that has a hundred times more to do than it can, but it is bounded.
pub(crate) const STALL: Duration = Duration::from_secs(60);

/// How long a child that has said why it ends may take to end.
pub(crate) const LAST_BREATH: Duration = Duration::from_secs(5);

/// How long the parent waits, after the time of a process is over, before it kills the process. The
/// process should have ended itself by then.
pub(crate) const MARGIN: Duration = Duration::from_secs(1);
