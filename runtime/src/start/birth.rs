//! What a child is told first: who it is, what it runs and under which settings.

use super::{Entry, StartMethod, heritage::Changes, identity::AuthKey, settings::Limits};
use crate::{
    error::{Error, Result},
    sys::{image::Place, signal::Mask},
    wire::{Incoming, Outgoing},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The first message to a child. The arguments follow in one of their own.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Birth {
    pub(super) name: String,
    pub(super) parent_name: String,
    pub(super) daemon: bool,
    pub(super) start_method: StartMethod,
    /// None in a copy of the parent, which knows it.
    pub(super) entry: Option<Place<Entry>>,
    pub(super) authkey: AuthKey,
    pub(super) timeout: Option<Duration>,
    pub(super) limits: Limits,
    #[serde(with = "serde_bytes")]
    pub(super) current_dir: Option<Vec<u8>>,
    pub(super) signal_mask: Mask,
    pub(super) changes: Changes,
    /// What the descriptors beside this message are for, in their order.
    pub(super) roles: Vec<Role>,
}

impl Birth {
    /// Goes once through what every child goes through when it is told what it is, so that a fork of this process finds done what
    /// need be done only once: symbols bound, memory at hand, this executable looked at.
    pub(super) fn rehearse() -> Result<()> {
        let birth = Self {
            name: String::new(),
            parent_name: String::new(),
            daemon: false,
            start_method: StartMethod::ForkServer,
            entry: Place::of((|_| Ok(Outgoing::default())) as Entry)
                .map_err(|source| Error::os("the executable cannot be read", source))?,
            authkey: AuthKey::new([]),
            timeout: None,
            limits: Limits::default(),
            current_dir: None,
            signal_mask: 0,
            changes: Changes::default(),
            roles: vec![Role::Directory, Role::Output, Role::Error],
        };
        let mut message = Outgoing::default();
        message.put("a rehearsal", &birth)?;
        let mut message = Incoming::new(message.bytes, message.fds);
        let birth: Self = message.take()?;
        drop(birth.entry.map(|entry| entry.resolve()));
        Ok(())
    }
}

/// What a descriptor that a child is given is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Role {
    /// The working directory.
    Directory,
    /// The standard input; without one it is `/dev/null`, as are the next two.
    Input,
    Output,
    Error,
    /// The daemon's end of its lifeline.
    Lifeline,
    /// A pipe to be held until the end.
    Sentinel,
}

/// The kinds of what a new process is sent.
pub(super) mod kind {
    pub(in crate::start) const BIRTH: u8 = 1;
    /// Instead of a birth: be the helper.
    pub(in crate::start) const SERVE: u8 = 2;
    pub(in crate::start) const ARGUMENTS: u8 = 3;
}
