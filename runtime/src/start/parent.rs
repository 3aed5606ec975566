//! The parent's side of a start: everything but the making of the process, which is the start method's.

use super::{
    Entry, StartMethod,
    birth::Birth,
    identity, lifeline,
    reply::{self, Failure, FailureKind, Reply},
    settings::Settings,
    spawn,
    stdio::{Stdio, Stream},
};
use crate::{
    error::{Error, ErrorKind, Result},
    sys::{
        image::Place,
        sentinel::{self, Reaped, Sentinel},
        signal, socket, wait,
    },
    wire::{self, Line, Outgoing},
};
use std::{
    cell::Cell,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{ffi::OsStringExt, process::ExitStatusExt},
    },
    process::{self, ChildStderr, ChildStdin, ChildStdout, ExitStatus},
    time::{Duration, Instant},
};

/// How long a new child may make no progress on its way to its function: that of a machine with a hundred times more to do than
/// it can, and still an end.
const STALL: Duration = Duration::from_secs(60);

/// How long a child that said why it ends may take to end.
const LAST_BREATH: Duration = Duration::from_secs(5);

/// What is to be started.
pub(crate) struct Order {
    pub(crate) name: String,
    pub(crate) daemon: bool,
    pub(crate) entry: Entry,
    pub(crate) function: &'static str,
    pub(crate) arguments: Outgoing,
    pub(crate) settings: Settings,
}

/// A process that has reached its function.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) start_method: StartMethod,
    pub(crate) sentinel: Sentinel,
    pub(crate) socket: OwnedFd,
    pub(crate) lifeline: Option<OwnedFd>,
    pub(crate) streams: Streams,
    /// A moment after which the function began, and its timeout with it.
    pub(crate) since: Instant,
}

/// Our ends of the standard streams that are pipes.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) stderr: Option<ChildStderr>,
}

/// Starts a process and waits until it has reached its function.
pub(crate) fn start(order: Order) -> Result<Started> {
    let Order {
        name,
        daemon,
        entry,
        function,
        arguments,
        mut settings,
    } = order;
    settings.check()?;
    let entry = locate(entry, function)?;
    let start_method = settings.start_method.unwrap_or_default();
    let (ours, theirs) =
        socket::pair().map_err(|source| Error::os("no socket to be had", source))?;
    let stdin = settings
        .stdin
        .take()
        .unwrap_or_else(Stdio::null)
        .open(Stream::Input)?;
    let stdout = settings
        .stdout
        .take()
        .unwrap_or_else(Stdio::inherit)
        .open(Stream::Output)?;
    let stderr = settings
        .stderr
        .take()
        .unwrap_or_else(Stdio::inherit)
        .open(Stream::Error)?;
    let (tie, lifeline) = if daemon {
        lifeline::make().map(|(tie, line)| (Some(tie), Some(line)))?
    } else {
        (None, None)
    };

    let (pipe, pipe_end) = sentinel_pipe()?;

    let birth = Birth {
        name,
        parent_name: identity::current().name.clone(),
        daemon,
        start_method,
        entry,
        authkey: settings.authkey.take().map_or_else(identity::authkey, Ok)?,
        timeout: settings.timeout,
        limits: std::mem::take(&mut settings.limits),
        current_dir: settings
            .current_dir
            .take()
            .map(|path| path.into_os_string().into_vec()),
        signal_mask: signal::mask()
            .map_err(|source| Error::os("the signal mask cannot be read", source))?,
        has_stdin: stdin.theirs.is_some(),
        has_sentinel: pipe.is_some(),
    };
    let birth_fds: Vec<OwnedFd> = stdin
        .theirs
        .into_iter()
        .chain(tie)
        .chain(pipe_end)
        .collect();
    let birth = wire::encode(&birth).map_err(|source| {
        Error::new(ErrorKind::Encode, "its settings cannot be encoded").because(source)
    })?;

    let newborn = match start_method {
        StartMethod::Spawn => Newborn::new(
            spawn::launch(&settings, theirs, stdout.theirs, stderr.theirs)?,
            pipe,
        )?,
    };
    let line = Line {
        socket: ours.as_fd(),
        peer: Some(newborn.sentinel().as_fd()),
        stall: Some(STALL),
    };
    let since = Instant::now();
    // A child that ends before it has read everything breaks the line; what it said before tells why.
    let sent = line
        .send(0, &birth, &birth_fds)
        .and_then(|()| line.send(0, &arguments.bytes, &arguments.fds));
    drop((birth_fds, arguments));
    match sent {
        Err(error) if !is_end(&error) => return Err(stalled(error)),
        _ => wait_until_reached(&line, &newborn)?,
    }
    let sentinel = newborn.grow_up();
    let streams = Streams {
        stdin: stdin.ours.map(ChildStdin::from),
        stdout: stdout.ours.map(ChildStdout::from),
        stderr: stderr.ours.map(ChildStderr::from),
    };
    Ok(Started {
        start_method,
        sentinel,
        socket: ours,
        lifeline,
        streams,
        since,
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

fn wait_until_reached(line: &Line<'_>, newborn: &Newborn) -> Result<()> {
    match reply::receive(line) {
        Ok(Some(Reply::Reached)) => Ok(()),
        Ok(Some(Reply::Failed(failure))) => {
            newborn.await_end(LAST_BREATH);
            Err(told(failure))
        }
        Ok(_) => Err(newborn.ended_early()),
        Err(error) if is_end(&error) => Err(newborn.ended_early()),
        Err(error) => Err(stalled(error)),
    }
}

/// The error that a child has told of.
fn told(
    Failure {
        kind,
        what,
        errno,
        cause,
    }: Failure,
) -> Error {
    let source = errno.map(io::Error::from_raw_os_error);
    let error = match kind {
        FailureKind::Setting => Error::new(ErrorKind::Setting, what),
        FailureKind::Decode => Error::new(ErrorKind::Decode, what),
        FailureKind::Os => {
            return Error::os(what, source.unwrap_or_else(|| io::ErrorKind::Other.into()));
        }
    };
    match (source, cause) {
        (Some(source), _) => error.because(source),
        (None, Some(cause)) => error.because(cause),
        (None, None) => error,
    }
}

fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

fn stalled(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::TimedOut => Error::new(
            ErrorKind::TimedOut,
            format!(
                "it made no progress towards its function for {} s",
                STALL.as_secs()
            ),
        ),
        _ => Error::os("it cannot be talked to", error),
    }
}

/// The two ends of what a child without a pidfd is known by: ours, and its own.
fn sentinel_pipe() -> Result<(Option<OwnedFd>, Option<OwnedFd>)> {
    if sentinel::has_pidfds() {
        return Ok((None, None));
    }
    let (reader, writer) =
        io::pipe().map_err(|source| Error::os("no pipe for its sentinel", source))?;
    Ok((Some(reader.into()), Some(writer.into())))
}

/// A process that has not reached its function yet: dropping it ends and reaps it.
struct Newborn {
    sentinel: Option<Sentinel>,
    reaped: Cell<bool>,
}

impl Newborn {
    fn new(mut child: process::Child, pipe: Option<OwnedFd>) -> Result<Self> {
        match Sentinel::new(child.id(), pipe) {
            Ok(sentinel) => Ok(Self {
                sentinel: Some(sentinel),
                reaped: Cell::new(false),
            }),
            Err(source) => {
                // It is ours and not reaped, so killing and reaping it cannot fail.
                let _ = child.kill();
                let _ = child.wait();
                Err(Error::os("no pidfd to be had", source))
            }
        }
    }

    fn sentinel(&self) -> &Sentinel {
        self.sentinel
            .as_ref()
            .expect("it is taken out by value only")
    }

    fn grow_up(mut self) -> Sentinel {
        self.sentinel.take().expect("it is taken out here only")
    }

    /// Waits for the process to end, and reaps it; returns how, if it did in time.
    fn await_end(&self, patience: Duration) -> Option<ExitStatus> {
        if !wait::readable(self.sentinel().as_fd(), wait::deadline(patience)).ok()? {
            return None;
        }
        match self.sentinel().reap() {
            Ok(Reaped::Ended(status)) => {
                self.reaped.set(true);
                Some(status)
            }
            _ => None,
        }
    }

    fn ended_early(&self) -> Error {
        let how = match self.await_end(LAST_BREATH) {
            None => String::new(),
            Some(status) => match (status.code(), status.signal()) {
                (Some(code), _) => format!(", with exit status {code}"),
                (None, Some(number)) => format!(", killed by {}", signal::name(number)),
                (None, None) => String::new(),
            },
        };
        Error::new(
            ErrorKind::EndedEarly,
            format!("it ended before it reached its function{how}"),
        )
    }
}

impl Drop for Newborn {
    fn drop(&mut self) {
        if let Some(sentinel) = &self.sentinel
            && !self.reaped.get()
        {
            // It is ours, so it can be killed, and once it was killed it will end.
            let _ = sentinel.signal(libc::SIGKILL);
            let _ = sentinel.await_end();
            let _ = sentinel.reap();
        }
    }
}
