//! The forkserver start method: the helper forks each child.

use super::{
    gifts::Gifts,
    newborn::{Newborn, Unborn},
    spares::{self, Made, Unfit},
    tell::{self, Stage, left},
};
use crate::{
    error::Result,
    start::{
        environment::Environment,
        message::{
            birth::{Birth, Role, kind},
            request::MORE_THREADS,
        },
    },
    sys::{errno, stdio, wait},
    wire::{Outgoing, is_end},
};
use std::time::{Duration, Instant};

/// How long this process spins for the answer of a spare, before it sleeps: about as long as it
/// takes to sleep and be woken. A spare only waits for its birth, so it answers soon.
const SPIN: Duration = Duration::from_micros(50);

/// Lets the helper make the process, and sends the birth. If the arguments are known, sends them
/// too, and waits until the child has reached its function. Returns whether it has come that far:
/// it has not if its time was over before. Returns `None` if no helper can make the process.
pub(super) fn make(
    birth: &mut Birth,
    environment: &Environment,
    gifts: &mut Gifts,
    arguments: Option<&Outgoing<'_>>,
    deadline: Option<Instant>,
) -> Result<Option<(Newborn, bool)>> {
    for _ in 0..spares::ATTEMPTS {
        let Some(mut made) = spares::make()? else {
            return Ok(None);
        };
        // The child comes to be meanwhile.
        if birth.environment.is_none() {
            let Ok(directory) = stdio::working_directory() else {
                return Ok(None);
            };
            gifts.give(Role::Directory, directory);
            birth.environment = Some(environment.block());
        }
        if made.is_spare {
            made.newborn.was_spare();
        }
        made.newborn.reach_by(deadline);
        birth.timeout = left(deadline);
        match tell_all(&made, birth, gifts, arguments) {
            Ok(reached) => return Ok(Some((made.newborn, reached))),
            Err(Unborn::Stopped) => {
                // The child has run no code of the user's, so it can be made again.
                made.newborn.kill();
                if made.newborn.ward().is_err() {
                    spares::replace(&made.helper);
                }
            }
            // Another helper can make this child.
            Err(Unborn::Lost | Unborn::Stale) => spares::replace(&made.helper),
            Err(Unborn::Gone) => {}
            // A filter refuses the fork, or the C library is of an unknown kind.
            Err(Unborn::Refused(error))
                if matches!(error.raw_os_error(), Some(errno::ENOSYS | errno::EPERM)) =>
            {
                spares::give_up();
                return Ok(None);
            }
            // The helper has more than one thread, and only the first would be in the copy.
            Err(Unborn::Refused(error)) if error.raw_os_error() == Some(MORE_THREADS) => {
                return Ok(None);
            }
            Err(Unborn::Unknown) => return Ok(None),
            Err(unborn) => return Err(unborn.into_error()),
        }
    }
    Ok(None)
}

/// Sends the messages of a start to a child of the helper. If the arguments are among them, waits
/// until the child has reached its function. Returns whether it has come that far: it has not if
/// its time was over before.
///
/// This process takes a while to find out what has changed in it. Meanwhile the child comes to be,
/// and applies its birth.
fn tell_all(
    made: &Made,
    birth: &mut Birth,
    gifts: &Gifts,
    arguments: Option<&Outgoing<'_>>,
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
    // If the child is there already, its end can be watched. If it is on its way, the end of its
    // socket tells.
    match newborn.ward() {
        Ok(_) | Err(Unborn::Lost) => {}
        Err(unborn) => return Err(unborn),
    }
    let line = newborn.line();
    let changes = changes.encode().map_err(Unborn::Failed)?;
    match line.send(kind::HERITAGE, &changes, &[]) {
        Ok(()) => {}
        Err(error) if is_end(&error) => {
            // Either there is no child, and another helper may make one. Or the child has said why
            // it ends.
            if let Err(unborn @ (Unborn::Lost | Unborn::Refused(_))) = newborn.ward() {
                return Err(unborn);
            }
        }
        Err(error) => return tell::unless_over(newborn, &error),
    }
    let Some(arguments) = arguments else {
        return Ok(true);
    };
    tell::send_arguments(newborn, birth, arguments)?;
    if made.is_spare {
        // The spare was waiting for this message. It answers sooner than this process could sleep
        // and be woken.
        wait::spin(line.socket, SPIN);
    } else {
        // The child is on its way, and this process would only wait.
        spares::replenish();
    }
    tell::wait_until(newborn, Stage::Reached)
}
