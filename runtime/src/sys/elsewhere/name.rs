//! Names for shared memory, which there is none of here.

use super::{
    fd::{BorrowedFd, OwnedFd},
    unsupported,
};
use std::{convert::Infallible, io};

/// Where names are looked up, as an error says it.
pub(crate) const WHERE: &str = "";

#[derive(Debug)]
pub(crate) struct Name(Infallible);

#[derive(Debug)]
#[expect(dead_code, reason = "no name leads anywhere here")]
pub(crate) enum Lost {
    Nobody,
    Denied,
    Invalid,
    Unlisted(io::Error),
}

impl Name {
    pub(crate) fn bind(_: &str, _: BorrowedFd<'_>) -> io::Result<Self> {
        unsupported()
    }
}

pub(crate) fn find(_: &str) -> Result<OwnedFd, Lost> {
    unsupported().map_err(Lost::Unlisted)
}
