//! What a child is told first: who it is, what it runs and under which settings.

use super::{Entry, StartMethod, identity::AuthKey, settings::Limits};
use crate::sys::{image::Place, signal::Mask};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The first message from the parent. The arguments follow in one of their own.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Birth {
    pub(super) name: String,
    pub(super) parent_name: String,
    pub(super) daemon: bool,
    pub(super) start_method: StartMethod,
    pub(super) entry: Place<Entry>,
    pub(super) authkey: AuthKey,
    pub(super) timeout: Option<Duration>,
    pub(super) limits: Limits,
    pub(super) current_dir: Option<Vec<u8>>,
    pub(super) signal_mask: Mask,
    /// Whether the standard input comes beside this message; else it is `/dev/null`.
    pub(super) has_stdin: bool,
    /// Whether a pipe comes beside this message that the child is to hold until its end.
    pub(super) has_sentinel: bool,
}
