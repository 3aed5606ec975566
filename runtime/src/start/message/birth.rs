//! The birth: the first message to a child. It says what the child is, what it runs and under which
//! settings.

use crate::{
    call::Entry,
    error::{Error, ErrorKind, Result},
    start::{StartMethod, bond::Bond, identity::AuthKey, settings::ChildSettings},
    sys::{image::Place, signal::Mask},
    wire,
};
use std::time::Duration;

/// The first message to a child.
///
/// A child of the helper is sent the changes next, which the parent finds out meanwhile. Then come
/// the arguments, unless they are at the end of this message.
#[derive(Debug)]
pub(in crate::start) struct Birth {
    pub(in crate::start) name: String,
    pub(in crate::start) parent_name: String,
    pub(in crate::start) bond: Bond,
    pub(in crate::start) start_method: StartMethod,
    /// The function. `None` in a copy of the parent, which knows it.
    pub(in crate::start) entry: Option<Place<Entry>>,
    pub(in crate::start) authkey: AuthKey,
    /// The environment as one [block](super::heritage::block). `None` if the process has it
    /// already.
    pub(in crate::start) environment: Option<Vec<u8>>,
    /// How much time is left. The child ends itself when it is over.
    pub(in crate::start) timeout: Option<Duration>,
    pub(in crate::start) settings: ChildSettings,
    pub(in crate::start) signal_mask: Mask,
    /// Whether the parent must know the process before its function runs. It must if the kernel
    /// reaps the parent's children: the end of a child that the parent does not know yet would be
    /// lost.
    pub(in crate::start) awaits_parent: bool,
    /// Whether the arguments follow at the end of this message.
    pub(in crate::start) has_arguments: bool,
    /// What the descriptors of this message are for, in their order.
    pub(in crate::start) roles: Vec<Role>,
}

wire::as_tuple!(Birth {
    name,
    parent_name,
    bond,
    start_method,
    entry,
    authkey,
    environment,
    timeout,
    settings,
    signal_mask,
    awaits_parent,
    has_arguments,
    roles,
});
wire::as_name!(Role {
    Input,
    Output,
    Error,
    Directory,
    Lifeline,
    Sentinel
});

impl Birth {
    /// Encodes the message: the length of the birth in eight bytes, the birth, and the arguments.
    pub(in crate::start) fn encode(&self, arguments: &[u8]) -> Result<Vec<u8>> {
        let mut birth = wire::encode(self).map_err(|source| {
            Error::new(ErrorKind::Encode, "its settings cannot be encoded").because(source)
        })?;
        let length = birth.len() as u64;
        birth.extend_from_slice(arguments);
        birth.splice(..0, length.to_le_bytes());
        Ok(birth)
    }

    /// Decodes the message. Returns the birth and the bytes of the arguments.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::start) enum Role {
    /// The standard input. Without this descriptor it is `/dev/null`. The same holds for the output
    /// and the error stream.
    Input,
    Output,
    Error,
    /// The working directory. Without this descriptor the child keeps the one that it has.
    Directory,
    /// The daemon's end of its lifeline.
    Lifeline,
    /// The write end of a pipe that the child keeps open until it ends.
    Sentinel,
}

/// The kinds of the messages to a new process.
pub(in crate::start) mod kind {
    pub(in crate::start) const BIRTH: u8 = 1;
    /// Sent instead of a birth: the process is to be the helper.
    pub(in crate::start) const SERVE: u8 = 2;
    pub(in crate::start) const ARGUMENTS: u8 = 3;
    /// The changes in the parent since the helper was started.
    pub(in crate::start) const HERITAGE: u8 = 4;
    /// The parent knows this copy of it, which may go on.
    pub(in crate::start) const KNOWN: u8 = 5;
}
