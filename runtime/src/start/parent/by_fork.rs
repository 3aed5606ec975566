//! The fork start method: this process is copied.

use super::{newborn::Newborn, ward::Ward};
use crate::{
    error::{Error, ErrorKind, Result},
    start::{
        child::{self, Known},
        message::birth::kind,
    },
    sys::{
        alone::Alone,
        exit,
        fd::OwnedFd,
        fork::{self, Copied},
        socket,
    },
};
use std::{
    io::{self, Write},
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Copies this process. Returns in the parent only. It returns `own`, which belongs to the parent:
/// the copy drops it.
pub(super) fn make<Own>(
    known: Known<'_>,
    pipe: Option<OwnedFd>,
    own: Own,
) -> Result<(Newborn, Own)> {
    let awaited = known.birth.awaits_parent;
    let (ours, theirs) =
        socket::pair().map_err(|source| Error::os("no socket to be had", source))?;
    // If this fails, it fails again when this process ends.
    let _ = io::stdout().flush();
    let _ = io::stderr().flush();
    let refused = |source| Error::making("this process cannot be forked", source);
    let alone = Alone::check().map_err(refused)?.ok_or_else(|| {
        Error::new(
            ErrorKind::MultipleThreads,
            "this process has more than one thread, of which a fork would copy only this one, and what the others are in the \
             middle of",
        )
    })?;
    match fork::fork(&alone).map_err(refused)? {
        Copied::Parent(id) => {
            let newborn = Newborn::made(Ward::new(id, pipe)?, ours);
            if awaited {
                // If the copy is not there to read this, the wait for it will tell.
                let _ = newborn.line().send(kind::KNOWN, &[], &[]);
            }
            Ok((newborn, own))
        }
        Copied::Child => {
            drop((ours, pipe, own));
            // The copy never returns to the caller, however its function ends.
            let lived = catch_unwind(AssertUnwindSafe(|| {
                child::live_copied(theirs, known, &alone)
            }));
            exit::now(lived.unwrap_or(child::FAILED))
        }
    }
}
