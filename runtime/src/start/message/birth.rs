//! What a child is told first: who it is, what it runs and under which settings.

use crate::{
    error::{Error, ErrorKind, Result},
    start::{StartMethod, identity::AuthKey, settings::Limits},
    sys::{image::Place, signal::Mask},
    wire::{self, Entry},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The first message to a child.
///
/// A child of the helper is told next what its parent is like by now, which takes the parent a while
/// to find out. Then come the arguments, unless they are at the end of this one.
#[derive(Debug, Serialize, Deserialize)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own"
)]
pub(in crate::start) struct Birth {
    pub(in crate::start) name: String,
    pub(in crate::start) parent_name: String,
    pub(in crate::start) daemon: bool,
    pub(in crate::start) start_method: StartMethod,
    /// None in a copy of the parent, which knows it.
    pub(in crate::start) entry: Option<Place<Entry>>,
    pub(in crate::start) authkey: AuthKey,
    /// As [`heritage::block`](super::heritage::block) makes it; `None` where the process has it
    /// already.
    #[serde(with = "serde_bytes")]
    pub(in crate::start) environment: Option<Vec<u8>>,
    /// What is left of it. The child ends itself then.
    pub(in crate::start) timeout: Option<Duration>,
    /// Whether panics have a backtrace; `None` leaves it to the environment.
    pub(in crate::start) backtrace: Option<bool>,
    pub(in crate::start) limits: Limits,
    #[serde(with = "serde_bytes")]
    pub(in crate::start) current_dir: Option<Vec<u8>>,
    pub(in crate::start) signal_mask: Mask,
    pub(in crate::start) subreaper: bool,
    /// Whether the parent must know the process before its function runs: the kernel reaps the
    /// parent's children, so that the end of one that is not known yet cannot be told.
    pub(in crate::start) awaits_parent: bool,
    /// Whether the arguments stand behind this in the same message.
    pub(in crate::start) has_arguments: bool,
    /// What the descriptors beside this message are for, in their order.
    pub(in crate::start) roles: Vec<Role>,
}

impl Birth {
    /// Makes the message: its own length, this, and the arguments that stand behind it.
    pub(in crate::start) fn encode(&self, arguments: &[u8]) -> Result<Vec<u8>> {
        let mut birth = wire::encode(self).map_err(|source| {
            Error::new(ErrorKind::Encode, "its settings cannot be encoded").because(source)
        })?;
        let length = birth.len() as u64;
        birth.extend_from_slice(arguments);
        birth.splice(..0, length.to_le_bytes());
        Ok(birth)
    }

    /// Takes the message apart; returns also what stands behind this.
    pub(in crate::start) fn decode(message: &mut Vec<u8>) -> Result<(Self, Vec<u8>)> {
        let broken = || Error::new(ErrorKind::Decode, "its settings cannot be decoded");
        let (length, rest) = message.split_first_chunk().ok_or_else(broken)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| broken())?;
        let (birth, arguments) = rest.split_at_checked(length).ok_or_else(broken)?;
        let birth = wire::decode(birth).map_err(|source| broken().because(source))?;
        let behind = message.len() - arguments.len();
        Ok((birth, message.split_off(behind)))
    }
}

/// What a descriptor that a child is given is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::start) enum Role {
    /// The standard input; without one it is `/dev/null`, as are the next two.
    Input,
    Output,
    Error,
    /// The working directory; without one it is as it is.
    Directory,
    /// The daemon's end of its lifeline.
    Lifeline,
    /// A pipe to be held until the end.
    Sentinel,
}

/// The kinds of what a new process is sent.
pub(in crate::start) mod kind {
    pub(in crate::start) const BIRTH: u8 = 1;
    /// Instead of a birth: be the helper.
    pub(in crate::start) const SERVE: u8 = 2;
    pub(in crate::start) const ARGUMENTS: u8 = 3;
    /// What the parent is like by now.
    pub(in crate::start) const HERITAGE: u8 = 4;
    /// A copy of the parent may begin.
    pub(in crate::start) const KNOWN: u8 = 5;
}
