//! The fork start method: this process is copied.

use super::{newborn::Newborn, ward::Ward};
use crate::{
    error::{Error, ErrorKind, Result},
    start::{
        child::{self, Known},
        message::birth::kind,
    },
    sys::{
        exit,
        fork::{self, Copied},
        socket,
    },
};
use std::{
    io::{self, Write},
    os::fd::OwnedFd,
    panic::{AssertUnwindSafe, catch_unwind},
};

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
