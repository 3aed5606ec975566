//! The spawn start method: the executable is run anew for each child.

use super::{gifts::Gifts, launch, newborn::Newborn, ward::Ward};
use crate::{
    error::{Error, Result},
    start::{environment::Environment, message::birth::Role},
    sys::{fd::OwnedFd, socket},
};

/// Makes the process by running the executable anew.
pub(super) fn make(
    environment: &Environment,
    gifts: &mut Gifts,
    pipe: Option<OwnedFd>,
) -> Result<Newborn> {
    let (ours, theirs) =
        socket::pair().map_err(|source| Error::os("no socket to be had", source))?;
    // The exec passes these two on, so they are not sent.
    let (output, error) = (gifts.take(Role::Output), gifts.take(Role::Error));
    let variables = environment.variables();
    let id = launch::launch(&variables, &theirs, output.as_ref(), error.as_ref())?;
    let ward = Ward::new(id, pipe)?;
    Ok(Newborn::made(ward, ours))
}
