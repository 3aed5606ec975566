//! The spawn start method: the executable is run anew.

use super::{entry::VARIABLE, heritage::Variable, settings::Settings};
use crate::{
    error::{Error, ErrorKind, Result},
    sys::{
        image,
        privilege::{self, Gain},
    },
};
use std::{
    env, fs, io,
    os::{fd::OwnedFd, unix::process::CommandExt},
    process::{Command, Stdio},
};

/// Starts the executable with one end of the socket as its standard input, which the child puts in its place.
///
/// std's `Command` serves here, for it starts a process in the way of `posix_spawn`: the cost does not grow with our memory.
pub(super) fn launch(
    settings: &Settings,
    socket: OwnedFd,
    output: Option<OwnedFd>,
    error: Option<OwnedFd>,
) -> Result<std::process::Child> {
    let stream = |fd: Option<OwnedFd>| fd.map_or_else(Stdio::null, Stdio::from);
    let mut command = anew(socket)?;
    command.stdout(stream(output)).stderr(stream(error));
    if settings.env_clear {
        command.env_clear();
    }
    for (name, value) in &settings.env {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.env(VARIABLE, "1");
    command.spawn().map_err(refused)
}

/// Starts the executable as the helper of the forkserver start method, with this environment and no stream of ours.
pub(super) fn launch_helper(
    environment: &[Variable],
    socket: OwnedFd,
) -> Result<std::process::Child> {
    let mut command = anew(socket)?;
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .env_clear()
        .envs(
            environment
                .iter()
                .map(|(name, value)| (name.as_os_str(), value.as_os_str())),
        )
        .env(VARIABLE, "1");
    command.spawn().map_err(refused)
}

/// The executable with the arguments of this process.
fn anew(socket: OwnedFd) -> Result<Command> {
    refuse_privileges()?;
    let mut command = Command::new(image::executable());
    let mut arguments = env::args_os();
    if let Some(program) = arguments.next() {
        command.arg0(program);
    }
    command.args(arguments).stdin(socket);
    Ok(command)
}

fn refuse_privileges() -> Result<()> {
    let gain = privilege::gain(image::executable()).map_err(refused)?;
    let why = match gain {
        None => return Ok(()),
        Some(Gain::Secure) => {
            "this process has privileges of its executable, which starting it anew would regain"
        }
        Some(Gain::SetId) => {
            "the executable is set-user-ID or set-group-ID, and starting it anew would gain privileges"
        }
        Some(Gain::Capabilities) => {
            "the executable has file capabilities, and starting it anew would gain privileges"
        }
    };
    Err(Error::new(ErrorKind::Privileged, why))
}

pub(super) fn refused(source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::NotFound if fs::symlink_metadata("/proc/self").is_err() => Error::new(
            ErrorKind::Executable,
            "the executable cannot be found, since /proc is not mounted",
        )
        .because(source),
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
            Error::new(ErrorKind::Executable, "the executable cannot be run anew").because(source)
        }
        _ => Error::making("the executable cannot be run anew", source),
    }
}
