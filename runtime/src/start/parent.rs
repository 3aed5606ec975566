//! The parent's side of a start: everything but the making of the process, which is the start method's.

use super::{
    Copying, Entry, StartMethod,
    birth::{Birth, Role, kind},
    fork::{self, Known},
    helper::{self, Made, Unfit},
    identity, lifeline,
    newborn::{Newborn, Unborn, Ward},
    reply::{self, Reply},
    server,
    settings::Settings,
    spawn,
    stdio::{Opened, Stdio, Stream},
};
use crate::{
    error::{Error, ErrorKind, Result},
    sys::{
        image::Place,
        sentinel::{self, Sentinel},
        signal, socket, stdio, wait,
    },
    wire::Outgoing,
};
use std::{
    io,
    os::{fd::OwnedFd, unix::ffi::OsStringExt},
    process::{ChildStderr, ChildStdin, ChildStdout},
    time::{Duration, Instant},
};

/// How long a new child may make no progress on its way to its function: that of a machine with a hundred times more to do than
/// it can, and still an end.
pub(super) const STALL: Duration = Duration::from_secs(60);

/// How long a child that said why it ends may take to end.
pub(super) const LAST_BREATH: Duration = Duration::from_secs(5);

/// How long a spare, which only waits to be told what it is, is waited for without going to sleep: about as long as going to sleep and
/// being woken takes.
const SOON: Duration = Duration::from_micros(50);

/// How long arguments may be to go with the birth.
const SHORT: usize = 16 << 10;

/// What is to be started.
pub(crate) struct Order<'a> {
    pub(crate) name: String,
    pub(crate) daemon: bool,
    pub(crate) entry: Entry,
    pub(crate) function: &'static str,
    pub(crate) arguments: Outgoing<'a>,
    pub(crate) settings: Settings,
    /// When its time is over; `None` is never.
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
    /// Whether it has reached its function.
    pub(crate) reached: bool,
}

/// Our ends of the standard streams that are pipes.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) stderr: Option<ChildStderr>,
}

/// How much later than the process itself its parent ends it when its time is over.
pub(crate) const MARGIN: Duration = Duration::from_secs(1);

/// Starts a process and waits until it has reached its function, or its time is over.
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
    settings.check()?;
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
        backtrace: settings.backtrace,
        limits: std::mem::take(&mut settings.limits),
        current_dir: settings
            .current_dir
            .take()
            .map(|path| path.into_os_string().into_vec()),
        signal_mask: signal::mask()
            .map(signal::without_requests_to_end)
            .map_err(|source| Error::os("the signal mask cannot be read", source))?,
        subreaper: settings.subreaper,
        awaits_parent: signal::discards_children()
            .map_err(|source| Error::os("the action for SIGCHLD cannot be read", source))?,
        has_arguments: false,
        roles: Vec::new(),
    };

    if start_method == StartMethod::ForkServer {
        let made = by_helper(&mut birth, &settings, &mut gifts, &arguments, deadline)?;
        if let Some((newborn, reached)) = made {
            return started(newborn, start_method, (lifeline, streams), reached);
        }
        birth.start_method = StartMethod::Spawn;
        // Its exec gives it these.
        birth.environment = None;
        gifts.take(Role::Directory);
    }
    let start_method = birth.start_method;
    let pipe = gifts.sentinel()?;
    let mut newborn = if start_method == StartMethod::Fork {
        birth.environment = settings
            .changes_environment()
            .then(|| settings.environment_block());
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
        let (newborn, own) = fork::make(known, pipe, own)?;
        (lifeline, streams) = own;
        newborn
    } else {
        let mut newborn = by_spawn(&settings, &mut gifts, pipe)?;
        newborn.reach_by(deadline);
        birth.timeout = left(deadline);
        send_birth(&newborn, &mut birth, &gifts, &arguments)
            .and_then(|()| send_arguments(&newborn, &birth, &arguments))
            .map_err(Unborn::into_error)?;
        newborn
    };
    newborn.reach_by(deadline);
    let reached = wait_until(&newborn, Stage::Reached).map_err(Unborn::into_error)?;
    started(newborn, start_method, (lifeline, streams), reached)
}

/// How much time is left.
fn left(deadline: Option<Instant>) -> Option<Duration> {
    deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
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

/// The descriptors that a child is given, each with what it is for.
#[derive(Debug, Default)]
struct Gifts {
    roles: Vec<Role>,
    fds: Vec<OwnedFd>,
}

impl Gifts {
    fn give(&mut self, role: Role, fd: OwnedFd) {
        self.roles.push(role);
        self.fds.push(fd);
    }

    fn take(&mut self, role: Role) -> Option<OwnedFd> {
        let place = self.roles.iter().position(|other| *other == role)?;
        self.roles.remove(place);
        Some(self.fds.remove(place))
    }

    /// Gives a pipe that is held until the end, where there are no pidfds; returns our end.
    fn sentinel(&mut self) -> Result<Option<OwnedFd>> {
        if sentinel::has_pidfds() {
            return Ok(None);
        }
        let (reader, writer) =
            io::pipe().map_err(|source| Error::os("no pipe for its sentinel", source))?;
        self.give(Role::Sentinel, writer.into());
        Ok(Some(reader.into()))
    }

    /// Opens a standard stream; returns our end if it is a pipe.
    fn open(&mut self, stdio: Stdio, stream: Stream) -> Result<Option<OwnedFd>> {
        let Opened { theirs, ours } = stdio.open(stream)?;
        if let Some(fd) = theirs {
            let role = match stream {
                Stream::Input => Role::Input,
                Stream::Output => Role::Output,
                Stream::Error => Role::Error,
            };
            self.give(role, fd);
        }
        Ok(ours)
    }
}

/// Has the process made by running the executable anew.
fn by_spawn(settings: &Settings, gifts: &mut Gifts, pipe: Option<OwnedFd>) -> Result<Newborn> {
    let (ours, theirs) =
        socket::pair().map_err(|source| Error::os("no socket to be had", source))?;
    // They are given by the exec.
    let (output, error) = (gifts.take(Role::Output), gifts.take(Role::Error));
    let variables = settings.environment();
    let id = spawn::launch(&variables, &theirs, output.as_ref(), error.as_ref())?;
    let ward = Ward::new(id, pipe)?;
    Ok(Newborn::made(ward, ours))
}

/// Has the process made by the helper, and tells it what it is; none where that cannot be done here.
fn by_helper(
    birth: &mut Birth,
    settings: &Settings,
    gifts: &mut Gifts,
    arguments: &Outgoing<'_>,
    deadline: Option<Instant>,
) -> Result<Option<(Newborn, bool)>> {
    for _ in 0..helper::ATTEMPTS {
        let Some(mut made) = helper::make()? else {
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
        match tell(&made, birth, gifts, arguments) {
            Ok(reached) => return Ok(Some((made.newborn, reached))),
            Err(Unborn::Stopped) => {
                // Nothing of the user's has run.
                made.newborn.kill();
                if made.newborn.ward().is_err() {
                    helper::replace(&made.helper);
                }
            }
            // With another helper it will be different.
            Err(Unborn::Lost | Unborn::Stale) => helper::replace(&made.helper),
            Err(Unborn::Gone) => {}
            // A filter, or a C library of another kind.
            Err(Unborn::Refused(error))
                if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) =>
            {
                helper::give_up();
                return Ok(None);
            }
            // Or more threads than one, of which only the first would be in the copy.
            Err(Unborn::Refused(error)) if error.raw_os_error() == Some(server::MORE_THREADS) => {
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
fn tell(
    made: &Made,
    birth: &mut Birth,
    gifts: &Gifts,
    arguments: &Outgoing<'_>,
) -> Result<bool, Unborn> {
    let newborn = &made.newborn;
    send_birth(newborn, birth, gifts, arguments)?;
    let changes = helper::inheritance(&made.helper).map_err(|unfit| match unfit {
        Unfit::Stale => Unborn::Stale,
        Unfit::Unknown => Unborn::Unknown,
        Unfit::Failed(error) => Unborn::Failed(error),
    })?;
    if birth.awaits_parent && !wait_until(newborn, Stage::Arrived)? {
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
        Err(error) => return unless_over(newborn, &error),
    }
    send_arguments(newborn, birth, arguments)?;
    if made.is_spare {
        // It was waiting for this, and will answer sooner than this process could go to sleep and be woken.
        wait::spin(line.socket, SOON);
    } else {
        // While the child is on its way, and this process would only wait.
        helper::replenish();
    }
    wait_until(newborn, Stage::Reached)
}

/// Tells a process what it is, with its arguments if they are short.
fn send_birth(
    newborn: &Newborn,
    birth: &mut Birth,
    gifts: &Gifts,
    arguments: &Outgoing<'_>,
) -> Result<(), Unborn> {
    birth.roles.clone_from(&gifts.roles);
    birth.has_arguments = arguments.bytes.len() <= SHORT && arguments.has_nothing_beside();
    let inline = if birth.has_arguments {
        &*arguments.bytes
    } else {
        &[]
    };
    let encoded = birth.encode(inline).map_err(Unborn::Failed)?;
    match newborn.line().send(kind::BIRTH, &encoded, &gifts.fds) {
        // It is not there, or it was a spare and did not wait any longer: in any case it has done nothing.
        Err(error) if is_end(&error) && newborn.request().is_some() => {
            Err(newborn.ward().err().unwrap_or(Unborn::Gone))
        }
        result => unless_ended(newborn, result),
    }
}

fn send_arguments(
    newborn: &Newborn,
    birth: &Birth,
    arguments: &Outgoing<'_>,
) -> Result<(), Unborn> {
    if birth.has_arguments {
        return Ok(());
    }
    let line = newborn.line();
    unless_ended(newborn, line.send_message(kind::ARGUMENTS, arguments))
}

/// A child that ends before it has read everything breaks the line; what it said before tells why.
fn unless_ended(newborn: &Newborn, sent: io::Result<()>) -> Result<(), Unborn> {
    match sent {
        // Its time is over, which the wait for it will see as well.
        Err(error) if error.kind() == io::ErrorKind::TimedOut && newborn.is_over() => Ok(()),
        Err(error) if !is_end(&error) => Err(stalled(&error)),
        _ => Ok(()),
    }
}

/// How far a process has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It is there.
    Arrived,
    /// It has reached its function.
    Reached,
}

/// Waits until a process has come so far; returns whether it has, which it has not if its time was
/// over before.
fn wait_until(newborn: &Newborn, stage: Stage) -> Result<bool, Unborn> {
    match reply::receive(&newborn.line()) {
        Ok(Some(Reply::Arrived)) if stage == Stage::Arrived => Ok(true),
        Ok(Some(Reply::Reached)) if stage == Stage::Reached => Ok(true),
        Ok(Some(Reply::Failed(failure))) => {
            newborn.await_end();
            Err(Unborn::Failed(failure.into()))
        }
        Ok(Some(Reply::OutOfMemory)) => {
            newborn.await_end();
            Err(Unborn::Failed(Error::new(
                ErrorKind::OutOfMemory,
                "it got no memory on its way to its function",
            )))
        }
        Err(error) if !is_end(&error) => unless_over(newborn, &error),
        _ if newborn.is_over() => out_of_time(newborn),
        _ => Err(Unborn::Failed(newborn.ended_early()?)),
    }
}

/// What it means that a process cannot be talked to.
fn unless_over(newborn: &Newborn, error: &io::Error) -> Result<bool, Unborn> {
    if error.kind() == io::ErrorKind::TimedOut && newborn.is_over() {
        return out_of_time(newborn);
    }
    Err(stalled(error))
}

/// Ends a process whose time is over. Joining it tells so.
fn out_of_time(newborn: &Newborn) -> Result<bool, Unborn> {
    newborn.kill();
    newborn.ward().map_err(|_| {
        let what = "its timeout was over before there was a process for it";
        Unborn::Failed(Error::new(ErrorKind::TimedOut, what))
    })?;
    Ok(false)
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

pub(super) fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

fn stalled(error: &io::Error) -> Unborn {
    let error = match error.kind() {
        io::ErrorKind::ResourceBusy => return Unborn::Stopped,
        io::ErrorKind::TimedOut => Error::new(
            ErrorKind::TimedOut,
            format!(
                "it made no progress towards its function for {} s",
                STALL.as_secs()
            ),
        ),
        kind => {
            let source = error
                .raw_os_error()
                .map_or_else(|| kind.into(), io::Error::from_raw_os_error);
            Error::os("it cannot be talked to", source)
        }
    };
    Unborn::Failed(error)
}
