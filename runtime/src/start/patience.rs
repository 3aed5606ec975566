//! How long the two sides of a start wait for each other.

use std::time::Duration;

/// How long a new child may make no progress on its way to its function: that of a machine with a hundred times more to do than
/// it can, and still an end.
pub(crate) const STALL: Duration = Duration::from_secs(60);

/// How long a child that said why it ends may take to end.
pub(crate) const LAST_BREATH: Duration = Duration::from_secs(5);

/// How much later than the process itself its parent ends it when its time is over.
pub(crate) const MARGIN: Duration = Duration::from_secs(1);
