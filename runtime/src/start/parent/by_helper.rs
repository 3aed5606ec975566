//! The forkserver start method: the helper makes each child.

use super::{
    gifts::Gifts,
    newborn::{Newborn, Unborn},
    spares::{self, Made, Unfit},
    tell::{self, Stage, left},
};
use crate::{
    error::Result,
    start::{
        message::{
            birth::{Birth, Role, kind},
            request::MORE_THREADS,
        },
        settings::Settings,
    },
    sys::{stdio, wait},
    wire::{Outgoing, is_end},
};
use std::time::{Duration, Instant};

/// How long a spare, which only waits to be told what it is, is waited for without going to sleep:
/// about as long as going to sleep and being woken takes.
const SOON: Duration = Duration::from_micros(50);

/// Has the process made by the helper, and tells it what it is; none where that cannot be done here.
pub(super) fn make(
    birth: &mut Birth,
    settings: &Settings,
    gifts: &mut Gifts,
    arguments: &Outgoing<'_>,
    deadline: Option<Instant>,
) -> Result<Option<(Newborn, bool)>> {
    for _ in 0..spares::ATTEMPTS {
        let Some(mut made) = spares::make()? else {
            return Ok(None);
        };
        // While the child comes to be.
        if birth.environment.is_none() {
            let Ok(directory) = stdio::working_directory() else {
                return Ok(None);
            };
            gifts.give(Role::Directory, directory);
            birth.environment = Some(settings.environment_block());
        }
        made.newborn.reach_by(deadline);
        birth.timeout = left(deadline);
        match tell_all(&made, birth, gifts, arguments) {
            Ok(reached) => return Ok(Some((made.newborn, reached))),
            Err(Unborn::Stopped) => {
                // Nothing of the user's has run.
                made.newborn.kill();
                if made.newborn.ward().is_err() {
                    spares::replace(&made.helper);
                }
            }
            // With another helper it will be different.
            Err(Unborn::Lost | Unborn::Stale) => spares::replace(&made.helper),
            Err(Unborn::Gone) => {}
            // A filter, or a C library of another kind.
            Err(Unborn::Refused(error))
                if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) =>
            {
                spares::give_up();
                return Ok(None);
            }
            // Or more threads than one, of which only the first would be in the copy.
            Err(Unborn::Refused(error)) if error.raw_os_error() == Some(MORE_THREADS) => {
                return Ok(None);
            }
            Err(Unborn::Unknown) => return Ok(None),
            Err(unborn) => return Err(unborn.into_error()),
        }
    }
    Ok(None)
}

/// Tells a child of the helper what it is, and waits until it has reached its function.
///
/// What this process is like by now takes a while to find out, in which the child comes to be and takes up what it can be told before.
fn tell_all(
    made: &Made,
    birth: &mut Birth,
    gifts: &Gifts,
    arguments: &Outgoing<'_>,
) -> Result<bool, Unborn> {
    let newborn = &made.newborn;
    tell::send_birth(newborn, birth, gifts, arguments)?;
    let changes = spares::inheritance(&made.helper).map_err(|unfit| match unfit {
        Unfit::Stale => Unborn::Stale,
        Unfit::Unknown => Unborn::Unknown,
        Unfit::Failed(error) => Unborn::Failed(error),
    })?;
    if birth.awaits_parent && !tell::wait_until(newborn, Stage::Arrived)? {
        return Ok(false);
    }
    // Where it is there already it can be watched; where it is on its way, its socket tells.
    match newborn.ward() {
        Ok(_) | Err(Unborn::Lost) => {}
        Err(unborn) => return Err(unborn),
    }
    let line = newborn.line();
    let changes = changes.encode().map_err(Unborn::Failed)?;
    match line.send(kind::HERITAGE, &changes, &[]) {
        Ok(()) => {}
        Err(error) if is_end(&error) => {
            // It is not there: with another helper it may be. Or it has said why it ends.
            if let Err(unborn @ (Unborn::Lost | Unborn::Refused(_))) = newborn.ward() {
                return Err(unborn);
            }
        }
        Err(error) => return tell::unless_over(newborn, &error),
    }
    tell::send_arguments(newborn, birth, arguments)?;
    if made.is_spare {
        // It was waiting for this, and will answer sooner than this process could go to sleep and be woken.
        wait::spin(line.socket, SOON);
    } else {
        // While the child is on its way, and this process would only wait.
        spares::replenish();
    }
    tell::wait_until(newborn, Stage::Reached)
}
