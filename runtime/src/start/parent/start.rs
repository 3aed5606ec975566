//! The parent's side of a start, except for making the process: the start methods do that.

use super::{
    by_fork, by_helper, by_spawn,
    gifts::Gifts,
    newborn::{Newborn, Unborn},
    tell::{self, Stage, left},
};
use crate::{
    error::{Error, ErrorKind, Result},
    start::{
        StartMethod,
        child::{Copying, Known},
        identity, lifeline,
        message::birth::{Birth, Role},
        settings::Settings,
        stdio::{Stdio, Stream},
    },
    sys::{image::Place, sentinel::Sentinel, signal},
    wire::{Entry, Outgoing},
};
use std::{
    os::fd::OwnedFd,
    process::{ChildStderr, ChildStdin, ChildStdout},
    time::Instant,
};

/// An order: what to start, and how.
pub(crate) struct Order<'a> {
    pub(crate) name: String,
    pub(crate) daemon: bool,
    pub(crate) entry: Entry,
    pub(crate) function: &'static str,
    pub(crate) arguments: Outgoing<'a>,
    pub(crate) settings: Settings,
    /// When the time of the process is over. `None` means never.
    pub(crate) deadline: Option<Instant>,
    pub(crate) copying: Copying,
}

/// A process that has reached its function, or whose time was over before.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) start_method: StartMethod,
    pub(crate) sentinel: Sentinel,
    pub(crate) socket: OwnedFd,
    pub(crate) lifeline: Option<OwnedFd>,
    pub(crate) streams: Streams,
    /// Whether the process has reached its function.
    pub(crate) reached: bool,
}

/// Our ends of the standard streams that are pipes.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) stderr: Option<ChildStderr>,
}

/// Starts a process. Returns when the process has reached its function or its time is over.
pub(crate) fn start(order: Order<'_>) -> Result<Started> {
    let Order {
        name,
        daemon,
        entry,
        function,
        arguments,
        mut settings,
        deadline,
        copying,
    } = order;
    let variables = settings.env.take().unwrap_or_default();
    variables.check()?;
    let start_method = settings.start_method.unwrap_or_default();
    let place = match start_method {
        StartMethod::Fork => None,
        StartMethod::ForkServer | StartMethod::Spawn => Some(locate(entry, function)?),
    };
    let mut gifts = Gifts::default();
    let stdin = settings.stdin.take().unwrap_or_else(Stdio::null);
    let stdout = settings.stdout.take().unwrap_or_else(Stdio::inherit);
    let stderr = settings.stderr.take().unwrap_or_else(Stdio::inherit);
    let mut streams = Streams {
        stdin: gifts.open(stdin, Stream::Input)?.map(ChildStdin::from),
        stdout: gifts.open(stdout, Stream::Output)?.map(ChildStdout::from),
        stderr: gifts.open(stderr, Stream::Error)?.map(ChildStderr::from),
    };
    let mut lifeline = if daemon {
        let (theirs, ours) = lifeline::make()?;
        gifts.give(Role::Lifeline, theirs);
        Some(ours)
    } else {
        None
    };
    let mut birth = Birth {
        name,
        parent_name: identity::current().name.clone(),
        daemon,
        start_method,
        entry: place,
        authkey: settings.authkey.take().map_or_else(identity::authkey, Ok)?,
        environment: None,
        timeout: None,
        settings: settings.child,
        signal_mask: signal::mask()
            .map(signal::without_requests_to_end)
            .map_err(|source| Error::os("the signal mask cannot be read", source))?,
        awaits_parent: signal::discards_children()
            .map_err(|source| Error::os("the action for SIGCHLD cannot be read", source))?,
        has_arguments: false,
        roles: Vec::new(),
    };

    if start_method == StartMethod::ForkServer {
        let made = by_helper::make(&mut birth, &variables, &mut gifts, &arguments, deadline)?;
        if let Some((newborn, reached)) = made {
            return started(newborn, start_method, (lifeline, streams), reached);
        }
        birth.start_method = StartMethod::Spawn;
        // The exec passes these two on: the environment and the working directory.
        birth.environment = None;
        gifts.take(Role::Directory);
    }
    let start_method = birth.start_method;
    let pipe = gifts.sentinel()?;
    let mut newborn = if start_method == StartMethod::Fork {
        birth.environment = variables.changes_anything().then(|| variables.block());
        birth.timeout = left(deadline);
        let known = Known {
            birth,
            entry,
            arguments,
            roles: gifts.roles,
            gifts: gifts.fds,
            copying,
        };
        let own = (lifeline, streams);
        let (newborn, own) = by_fork::make(known, pipe, own)?;
        (lifeline, streams) = own;
        newborn
    } else {
        let mut newborn = by_spawn::make(&variables, &mut gifts, pipe)?;
        newborn.reach_by(deadline);
        birth.timeout = left(deadline);
        tell::send_birth(&newborn, &mut birth, &gifts, &arguments)
            .and_then(|()| tell::send_arguments(&newborn, &birth, &arguments))
            .map_err(Unborn::into_error)?;
        newborn
    };
    newborn.reach_by(deadline);
    let reached = tell::wait_until(&newborn, Stage::Reached).map_err(Unborn::into_error)?;
    started(newborn, start_method, (lifeline, streams), reached)
}

fn started(
    newborn: Newborn,
    start_method: StartMethod,
    (lifeline, streams): (Option<OwnedFd>, Streams),
    reached: bool,
) -> Result<Started> {
    let (sentinel, socket) = newborn.grow_up().map_err(Unborn::into_error)?;
    Ok(Started {
        start_method,
        sentinel,
        socket,
        lifeline,
        streams,
        reached,
    })
}

fn locate(entry: Entry, function: &str) -> Result<Place<Entry>> {
    let place =
        Place::of(entry).map_err(|source| Error::os("the executable cannot be read", source))?;
    place.ok_or_else(|| {
        let what = format!(
            "`{function}` is not part of the main executable: a process can be made of no function of a shared library, nor \
             of a program that was started by naming the dynamic loader"
        );
        Error::new(ErrorKind::NotInExecutable, what)
    })
}
