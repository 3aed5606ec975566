//! The parent's side of a start, except for making the process: the start methods do that.

use super::{
    by_fork, by_helper, by_spawn,
    gifts::Gifts,
    newborn::{Newborn, Unborn},
    tell::{self, Stage, left},
};
use crate::{
    call::{Arguments, Entry},
    error::{Error, ErrorKind, Result},
    start::{
        StartMethod,
        bond::Bond,
        child::{Copying, Known},
        environment::Environment,
        identity, lifeline,
        message::birth::{Birth, Role},
        settings::Settings,
        stdio::{Stdio, Stream},
    },
    sys::{fd::OwnedFd, image::Place, segment::Width, sentinel::Sentinel, signal},
    wire::{Outgoing, Sink},
};
use std::{
    cell::RefCell,
    fmt, io, mem,
    process::{ChildStderr, ChildStdin, ChildStdout},
    time::Instant,
};

/// An order: what to start, and how.
pub(crate) struct Order<'a> {
    pub(crate) name: String,
    pub(crate) bond: Bond,
    pub(crate) entry: Entry,
    pub(crate) function: &'static str,
    pub(crate) arguments: &'a dyn Arguments,
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
    /// Whether it was forked before it was needed.
    pub(crate) is_spare: bool,
}

/// Our ends of the standard streams that are pipes.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) stderr: Option<ChildStderr>,
}

/// Starts a process. Returns when the process has reached its function or its time is over.
pub(crate) fn start(mut order: Order<'_>) -> Result<Started> {
    let arguments = order.arguments;
    let method = order.settings.start_method.get_or_insert_default();
    if *method == StartMethod::Fork {
        let mut message = Outgoing::default();
        arguments.encode(&mut message)?;
        return Prepared::new(order)?.copy(message);
    }
    let starting = Starting(RefCell::new(State::Ordered(order)));
    let mut message = Outgoing::through(&starting);
    let encoded = arguments.encode(&mut message);
    let told = match starting.0.replace(State::Over(None)) {
        State::Ordered(order) => {
            encoded?;
            Prepared::new(order)?.make(Some(&message))?
        }
        State::Made(told) => {
            encoded?;
            told
        }
        // This is why the arguments could not be encoded.
        State::Over(error) => {
            let unknown = || Error::new(ErrorKind::Encode, "its arguments could not be sent");
            return Err(error.unwrap_or_else(unknown));
        }
    };
    told.complete(&message)
}

/// A start whose arguments are being encoded. The process is made at the end of that, or when a
/// large part of the arguments can be sent.
struct Starting<'a>(RefCell<State<'a>>);

enum State<'a> {
    Ordered(Order<'a>),
    Made(Told),
    /// The start has failed, or the error was taken.
    Over(Option<Error>),
}

impl Sink for Starting<'_> {
    fn send(&self, width: Width, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        let told = match mem::replace(&mut *state, State::Over(None)) {
            State::Ordered(order) => Prepared::new(order).and_then(|prepared| prepared.make(None)),
            State::Made(told) => Ok(told),
            over @ State::Over(_) => {
                *state = over;
                return Err(io::Error::other("the start has failed"));
            }
        };
        let sent = told.and_then(|told| {
            told.send_part(width, bytes)?;
            Ok(told)
        });
        match sent {
            Ok(told) => {
                *state = State::Made(told);
                Ok(())
            }
            Err(error) => {
                *state = State::Over(Some(error));
                Err(io::Error::other("the start has failed"))
            }
        }
    }
}

impl fmt::Debug for Starting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Starting").finish_non_exhaustive()
    }
}

/// Everything that is needed to make a process, except for its arguments.
struct Prepared {
    entry: Entry,
    birth: Birth,
    variables: Environment,
    gifts: Gifts,
    deadline: Option<Instant>,
    own: Own,
    copying: Copying,
}

/// What belongs to the parent.
struct Own {
    lifeline: Option<OwnedFd>,
    streams: Streams,
}

/// A process that has been sent its birth.
struct Told {
    newborn: Newborn,
    birth: Birth,
    own: Own,
    /// Whether it has reached its function. `None` if it has not been sent all of its arguments.
    reached: Option<bool>,
}

impl Prepared {
    fn new(order: Order<'_>) -> Result<Self> {
        let Order {
            name,
            bond,
            entry,
            function,
            mut settings,
            deadline,
            copying,
            ..
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
        let streams = Streams {
            stdin: gifts.open(stdin, Stream::Input)?.map(ChildStdin::from),
            stdout: gifts.open(stdout, Stream::Output)?.map(ChildStdout::from),
            stderr: gifts.open(stderr, Stream::Error)?.map(ChildStderr::from),
        };
        let lifeline = if bond.lifeline {
            let (theirs, ours) = lifeline::make()?;
            gifts.give(Role::Lifeline, theirs);
            Some(ours)
        } else {
            None
        };
        let birth = Birth {
            name,
            parent_name: identity::current().name.clone(),
            bond,
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
        Ok(Self {
            entry,
            birth,
            variables,
            gifts,
            deadline,
            own: Own { lifeline, streams },
            copying,
        })
    }

    /// Makes the process as a copy of this one.
    fn copy(self, arguments: Outgoing<'_>) -> Result<Started> {
        let Self {
            entry,
            mut birth,
            variables,
            mut gifts,
            deadline,
            own,
            copying,
        } = self;
        let pipe = gifts.sentinel()?;
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
        let (mut newborn, own) = by_fork::make(known, pipe, own)?;
        newborn.reach_by(deadline);
        let reached = tell::wait_until(&newborn, Stage::Reached).map_err(Unborn::into_error)?;
        own.started(newborn, StartMethod::Fork, reached)
    }

    /// Makes the process and sends the birth. If the arguments are known, they may be sent too.
    fn make(self, arguments: Option<&Outgoing<'_>>) -> Result<Told> {
        let Self {
            mut birth,
            variables,
            mut gifts,
            deadline,
            own,
            ..
        } = self;
        if birth.start_method == StartMethod::ForkServer {
            // A part of the arguments can be sent only once, so there must be a process for it.
            birth.awaits_parent |= arguments.is_none();
            let made = by_helper::make(&mut birth, &variables, &mut gifts, arguments, deadline)?;
            if let Some((newborn, so_far)) = made {
                return Ok(Told {
                    newborn,
                    birth,
                    own,
                    reached: (arguments.is_some() || !so_far).then_some(so_far),
                });
            }
            birth.start_method = StartMethod::Spawn;
            // The exec passes these two on: the environment and the working directory.
            birth.environment = None;
            gifts.take(Role::Directory);
        }
        let pipe = gifts.sentinel()?;
        let mut newborn = by_spawn::make(&variables, &mut gifts, pipe)?;
        newborn.reach_by(deadline);
        birth.timeout = left(deadline);
        tell::send_birth(&newborn, &mut birth, &gifts, arguments).map_err(Unborn::into_error)?;
        Ok(Told {
            newborn,
            birth,
            own,
            reached: None,
        })
    }
}

impl Told {
    /// Sends a large part of the arguments, whose encoding goes on.
    fn send_part(&self, width: Width, bytes: &[u8]) -> Result<()> {
        // The process is not there any more if its time is over.
        if self.reached.is_some() {
            return Ok(());
        }
        tell::send_part(&self.newborn, width, bytes).map_err(Unborn::into_error)
    }

    /// Sends what is left of the arguments, and waits until the process has reached its function.
    fn complete(self, arguments: &Outgoing<'_>) -> Result<Started> {
        let reached = match self.reached {
            Some(reached) => reached,
            None => tell::send_arguments(&self.newborn, &self.birth, arguments)
                .and_then(|()| tell::wait_until(&self.newborn, Stage::Reached))
                .map_err(Unborn::into_error)?,
        };
        self.own
            .started(self.newborn, self.birth.start_method, reached)
    }
}

impl Own {
    fn started(
        self,
        newborn: Newborn,
        start_method: StartMethod,
        reached: bool,
    ) -> Result<Started> {
        let is_spare = newborn.is_spare();
        let (sentinel, socket) = newborn.grow_up().map_err(Unborn::into_error)?;
        Ok(Started {
            start_method,
            sentinel,
            socket,
            lifeline: self.lifeline,
            streams: self.streams,
            reached,
            is_spare,
        })
    }
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
