//! The answers of a child.
//!
//! They are frames on the line. A child never stays because its parent does not receive: what the
//! parent does not receive soon is left in memory, and the parent reads it there later, after the
//! end of the line. Before the first large answer, the child announces that memory, with a frame of
//! the kind [`MEMORY`](kind::MEMORY). It has these descriptors:
//!
//! 1. the memory, unless the child got none: then the bytes of the frame are the errno;
//! 2. a socket, unless the child got none. Each packet in it has descriptors of the later answers,
//!    in the same order. A packet of four bytes is an errno: the answers break off for that reason.

use super::{failure::Failure, panic::Panic};
use crate::wire::{self, Frame, Incoming};
use std::io;

/// One answer of a child.
#[derive(Debug)]
pub(crate) enum Reply {
    /// It has its birth, and waits for the changes.
    Arrived,
    /// It calls its function next.
    Reached,
    /// It will not reach its function.
    Failed(Failure),
    /// Its function has returned.
    Returned(Incoming),
    /// Its function has returned a value that cannot be sent, or was sent in part only: the child
    /// had no memory to leave the rest in.
    Unsendable(Failure),
    /// Its function has panicked.
    Panicked(Panic),
    /// The backtrace of the panic.
    Backtrace(String),
    /// It aborts, and the system has refused it memory before.
    OutOfMemory,
    /// This process has no room for the descriptors of the answer. The answer can be received
    /// later.
    NoRoom(io::Error),
}

pub(crate) mod kind {
    pub(in crate::start) const REACHED: u8 = 1;
    pub(in crate::start) const FAILED: u8 = 2;
    pub(crate) const RETURNED: u8 = 3;
    pub(in crate::start) const UNSENDABLE: u8 = 4;
    pub(in crate::start) const PANICKED: u8 = 5;
    pub(in crate::start) const BACKTRACE: u8 = 6;
    pub(in crate::start) const OUT_OF_MEMORY: u8 = 7;
    pub(in crate::start) const ARRIVED: u8 = 8;
    pub(crate) const MEMORY: u8 = 9;
}

impl TryFrom<Frame> for Reply {
    type Error = io::Error;

    fn try_from(frame: Frame) -> io::Result<Self> {
        let decode = |error: Box<dyn std::error::Error + Send + Sync>| {
            io::Error::new(io::ErrorKind::InvalidData, error)
        };
        Ok(match frame.kind {
            kind::ARRIVED => Self::Arrived,
            kind::REACHED => Self::Reached,
            kind::FAILED => Self::Failed(wire::decode(&frame.bytes).map_err(decode)?),
            kind::RETURNED => Self::Returned(Incoming::from(frame)),
            kind::UNSENDABLE => Self::Unsendable(wire::decode(&frame.bytes).map_err(decode)?),
            kind::PANICKED => Self::Panicked(wire::decode(&frame.bytes).map_err(decode)?),
            kind::BACKTRACE => Self::Backtrace(String::from_utf8_lossy(&frame.bytes).into_owned()),
            kind::OUT_OF_MEMORY => Self::OutOfMemory,
            _ => return Err(io::ErrorKind::InvalidData.into()),
        })
    }
}
