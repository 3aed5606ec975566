//! The fork start method: this process is copied.

use super::{
    Entry,
    birth::{Birth, Role, kind},
    child,
    newborn::{Newborn, Ward},
};
use crate::{
    error::{Error, ErrorKind, Result},
    sys::{
        exit,
        fork::{self, Copied},
        socket,
    },
    wire::Outgoing,
};
use std::{
    io::{self, Write},
    os::fd::OwnedFd,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// What the copy does with what it has of its parent, and before its end: the business of those above.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copying {
    /// Gives up what is the parent's own.
    pub(crate) disown: fn(),
    /// Sees to its children.
    pub(crate) settle: extern "C" fn(),
}

/// What is in memory already, and need not be told.
pub(super) struct Known<'a> {
    pub(super) birth: Birth,
    pub(super) entry: Entry,
    pub(super) arguments: Outgoing<'a>,
    /// What each of the gifts is for.
    pub(super) roles: Vec<Role>,
    pub(super) gifts: Vec<OwnedFd>,
    pub(super) copying: Copying,
}

/// Copies this process. Returns in the parent only, and returns there what is its own: the copy closes it.
pub(super) fn make<Own>(
    known: Known<'_>,
    pipe: Option<OwnedFd>,
    own: Own,
) -> Result<(Newborn, Own)> {
    let awaited = known.birth.awaits_parent;
    let (ours, theirs) =
        socket::pair().map_err(|source| Error::os("no socket to be had", source))?;
    // What fails here would fail for this process too, when it comes to its end.
    let _ = io::stdout().flush();
    let _ = io::stderr().flush();
    match fork::fork().map_err(|source| Error::making("this process cannot be forked", source))? {
        None => Err(Error::new(
            ErrorKind::MultipleThreads,
            "this process has more than one thread, of which a fork would copy only this one, and what the others are in the \
             middle of",
        )),
        Some(Copied::Parent(id)) => {
            let newborn = Newborn::made(Ward::new(id, pipe)?, ours);
            if awaited {
                // Whether it is there to read it is seen by the wait for it.
                let _ = newborn.line().send(kind::KNOWN, &[], &[]);
            }
            Ok((newborn, own))
        }
        Some(Copied::Child) => {
            drop((ours, pipe, own));
            // Nothing of what called us is returned to, however this ends.
            let lived = catch_unwind(AssertUnwindSafe(|| child::live_copied(theirs, known)));
            exit::now(lived.unwrap_or(child::FAILED))
        }
    }
}
