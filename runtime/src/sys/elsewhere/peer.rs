//! Processes as shared memory names them. There is no such memory here.

use super::{fd::OwnedFd, unsupported};
use std::{io, process};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer([u64; 2]);

#[derive(Debug)]
#[expect(dead_code, reason = "no process is seen here")]
pub(crate) enum Watch {
    Gone,
    Pidfd(OwnedFd),
    Unseen,
}

impl Peer {
    pub(crate) fn learn() -> io::Result<()> {
        unsupported()
    }

    pub(crate) fn this() -> Self {
        Self([process::id().into(), 0])
    }

    pub(crate) fn from_words(words: [u64; 2]) -> Self {
        Self(words)
    }

    pub(crate) fn words(self) -> [u64; 2] {
        self.0
    }

    pub(crate) fn watch(self) -> Watch {
        Watch::Unseen
    }
}
