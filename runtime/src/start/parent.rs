//! The parent's side of a start: everything but the making of the process, which is the start method's.

use super::{
    Entry, StartMethod,
    birth::Birth,
    identity, lifeline,
    reply::{self, Reply},
    settings::Settings,
    spawn,
    stdio::{Stdio, Stream},
};
use crate::{
    error::{Error, ErrorKind, Result},
    sys::{
        image::Place,
        pidfd::{self, Reaped},
        signal, socket, wait,
    },
    wire::{self, Line, Outgoing},
};
use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
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
    pub(crate) id: u32,
    pub(crate) start_method: StartMethod,
    pub(crate) pidfd: OwnedFd,
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
    };
    let birth_fds: Vec<OwnedFd> = stdin.theirs.into_iter().chain(tie).collect();
    let birth = wire::encode(&birth).map_err(|source| {
        Error::new(ErrorKind::Encode, "its settings cannot be encoded").because(source)
    })?;

    let newborn = match start_method {
        StartMethod::Spawn => Newborn::new(spawn::launch(
            &settings,
            theirs,
            stdout.theirs,
            stderr.theirs,
        )?)?,
    };
    let line = Line {
        socket: ours.as_fd(),
        peer: Some(newborn.pidfd()),
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
    let (id, pidfd) = newborn.grow_up();
    let streams = Streams {
        stdin: stdin.ours.map(ChildStdin::from),
        stdout: stdout.ours.map(ChildStdout::from),
        stderr: stderr.ours.map(ChildStderr::from),
    };
    Ok(Started {
        id,
        start_method,
        pidfd,
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
            let kind = if failure.setting {
                ErrorKind::Setting
            } else {
                ErrorKind::Decode
            };
            let error = Error::new(kind, failure.what);
            Err(match (failure.errno, failure.cause) {
                (Some(errno), _) => error.because(io::Error::from_raw_os_error(errno)),
                (None, Some(cause)) => error.because(cause),
                (None, None) => error,
            })
        }
        Ok(_) => Err(newborn.ended_early()),
        Err(error) if is_end(&error) => Err(newborn.ended_early()),
        Err(error) => Err(stalled(error)),
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

/// A process that has not reached its function yet: dropping it ends and reaps it.
struct Newborn(Option<(u32, OwnedFd)>);

impl Newborn {
    fn new(mut child: process::Child) -> Result<Self> {
        match pidfd::open(child.id()) {
            Ok(pidfd) => Ok(Self(Some((child.id(), pidfd)))),
            Err(source) => {
                // It is ours and not reaped, so killing and reaping it cannot fail.
                let _ = child.kill();
                let _ = child.wait();
                Err(Error::os("no pidfd to be had", source))
            }
        }
    }

    fn pidfd(&self) -> BorrowedFd<'_> {
        let (_, pidfd) = self.0.as_ref().expect("it is taken out by value only");
        pidfd.as_fd()
    }

    fn grow_up(mut self) -> (u32, OwnedFd) {
        self.0.take().expect("it is taken out here only")
    }

    /// Waits for the process to end, and reaps it; returns how, if it did in time.
    fn await_end(&self, patience: Duration) -> Option<ExitStatus> {
        wait::readable(self.pidfd(), wait::deadline(patience)).ok()?;
        match pidfd::reap(self.pidfd()) {
            Ok(Reaped::Ended(status)) => Some(status),
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
        if self.0.is_some() {
            // One that has ended and been reaped already answers both with an error, which is what is wanted.
            let _ = pidfd::send_signal(self.pidfd(), libc::SIGKILL);
            let _ = wait::readable(self.pidfd(), None);
            let _ = pidfd::reap(self.pidfd());
        }
    }
}
