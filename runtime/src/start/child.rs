//! The life of a child, from the socket to the end of the process.

use super::{
    StartMethod, backtrace,
    birth::{Birth, Role, kind},
    entry::Entry,
    fork::Known,
    heritage::Changes,
    identity::{self, AuthKey, Identity, Parent},
    lifeline, panic,
    reply::{self, Failure},
    server,
    settings::Limits,
    spilled,
};
use crate::{
    error::{Error, ErrorKind, Result},
    sys::{
        abort, environment, exit, family, fork, image::Place, limits, overflow, profile, signal,
        socket, stdio, wait,
    },
    wire::{self, Frame, Incoming, Line, Outgoing},
};
use std::{
    env,
    ffi::OsString,
    io::{self, Write},
    mem,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
    panic::{AssertUnwindSafe, catch_unwind},
    process,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

/// The exit status of a child that could not come to its function.
pub(super) const FAILED: i32 = 1;

/// The exit status of a child whose function panicked: that of a Rust program whose `main` did.
const PANICKED: i32 = 101;

const NO_NULL: &str = "/dev/null cannot be opened for its standard streams";

/// How long the parent is waited for without going to sleep: as long as it takes for what it has to find out.
const SOON: Duration = Duration::from_micros(100);

/// Where the child was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entered {
    /// std's own start-up has not happened.
    BeforeMain,
    InMain,
}

/// What this process is as a child. A copy of a child that is a child itself begins anew.
static SOCKET: Mutex<Option<&'static OwnedFd>> = Mutex::new(None);
/// The id of this process as a child. A copy of it that a bare `fork` has made has nothing to say to the parent.
static CHILD: AtomicU32 = AtomicU32::new(0);
static REACHED: AtomicBool = AtomicBool::new(false);

/// The line to the parent, in a child.
pub(super) fn line() -> Option<Line<'static>> {
    let socket = *SOCKET.lock().unwrap_or_else(PoisonError::into_inner);
    socket.filter(|_| is_child()).map(line_on)
}

/// Whether this process is the child that was started, and not a copy of it.
fn is_child() -> bool {
    CHILD.load(Ordering::Relaxed) == process::id()
}

/// The parent is waited for without limit: a child has nothing else to do, and the end of the parent ends the wait.
fn line_on(socket: &OwnedFd) -> Line<'_> {
    Line::on(socket.as_fd())
}

/// Lives as what the parent at the other end of the socket wants this new process to be, and ends.
pub(super) fn live(socket: OwnedFd, entered: Entered) -> ! {
    match prepare(entered).and_then(|()| next(&line_on(&socket), "its settings")) {
        Ok(frame) if frame.kind == kind::SERVE => {
            drop(socket);
            match server::serve(frame.fds, entered) {
                Ok(child) => begin(child, None, entered),
                // The owner sees that it is gone.
                Err(_) => exit::now(FAILED),
            }
        }
        Ok(frame) => begin(socket, Some(frame), entered),
        Err(error) => process::exit(fail(&line_on(&socket), &error)),
    }
}

/// Makes good what a process lacks that std has not started, for itself or for those that will be forked from it.
fn prepare(entered: Entered) -> Result<()> {
    if entered == Entered::BeforeMain {
        signal::ignore_broken_pipes().map_err(setting("SIGPIPE cannot be ignored"))?;
        overflow::watch().map_err(setting("its stack cannot be watched"))?;
    } else {
        overflow::widen_stack().map_err(setting("its handlers cannot have a stack"))?;
    }
    abort::watch().map_err(setting("its aborts cannot be watched"))?;
    panic::watch();
    stdio::replace_input_by_null().map_err(setting(NO_NULL))
}

/// Lives as the child, from its birth on.
fn begin(socket: OwnedFd, birth: Option<Frame>, entered: Entered) -> ! {
    let line = line_on(hold(socket));
    let arrived = arrive(&line, birth, entered);
    // By now it has its environment, which says where the profile goes.
    profile::begin();
    let status = match arrived {
        Ok((entry, arguments)) => run(&line, entry, arguments),
        Err(error) => fail(&line, &error),
    };
    process::exit(status)
}

/// Keeps the socket for as long as this process lives.
fn hold(socket: OwnedFd) -> &'static OwnedFd {
    let socket: &'static OwnedFd = Box::leak(Box::new(socket));
    *SOCKET.lock().unwrap_or_else(PoisonError::into_inner) = Some(socket);
    CHILD.store(process::id(), Ordering::Relaxed);
    spilled::begin();
    abort::tell(socket.as_fd(), &reply::OUT_OF_MEMORY);
    socket
}

/// Lives as a child that is a copy of its parent; returns the exit status.
///
/// What the parent has registered with `atexit` is its own business, and is not done by the copy too.
pub(super) fn live_copied(socket: OwnedFd, known: Known<'_>) -> i32 {
    let copying = known.copying;
    (copying.disown)();
    REACHED.store(false, Ordering::Relaxed);
    let Ok(socket) = stdio::above_standard(socket) else {
        return FAILED;
    };
    let line = line_on(hold(socket));
    let status = match await_parent(&line, &known).and_then(|()| become_child(known)) {
        Ok((entry, arguments)) => run(&line, entry, arguments),
        Err(error) => fail(&line, &error),
    };
    (copying.settle)();
    // There is nobody to be told of what cannot be written.
    let _ = io::stdout().flush();
    fork::flush();
    status
}

/// Waits until the parent knows this copy of it, if it must.
fn await_parent(line: &Line<'_>, known: &Known<'_>) -> Result<()> {
    if known.birth.awaits_parent {
        next(line, "what its parent has to say")?;
    }
    Ok(())
}

/// Becomes what the parent wants its copy to be; returns its function and the arguments.
fn become_child(known: Known<'_>) -> Result<(Entry, Incoming)> {
    panic::watch();
    overflow::widen_stack().map_err(setting("its handlers cannot have a stack"))?;
    abort::watch().map_err(setting("its aborts cannot be watched"))?;
    let no_streams = || setting("its standard streams cannot be set");
    let above = |fds: Vec<OwnedFd>| -> Result<Vec<OwnedFd>> {
        let moved: io::Result<_> = fds.into_iter().map(stdio::above_standard).collect();
        moved.map_err(no_streams())
    };
    let (gifts, argument_fds) = (above(known.gifts)?, above(known.arguments.fds)?);
    // The parent's are not its own, but where it was given them.
    stdio::replace_all_by_null().map_err(setting(NO_NULL))?;
    for (role, fd) in known.roles.into_iter().zip(gifts) {
        accept(role, fd)?;
    }
    overflow::say(overflow_message(&known.birth.name));
    let mut birth = known.birth;
    introduce(&mut birth)?;
    settle(birth)?;
    // This is a copy of the process that lent them, but what is decoded has to be its own.
    let blobs = known
        .arguments
        .blobs
        .arrive()
        .map_err(|source| Error::os("no memory for its arguments", source))?;
    let arguments = Incoming::new(known.arguments.bytes, argument_fds).with_blobs(blobs);
    Ok((known.entry, arguments.when_ready(reached)))
}

fn overflow_message(name: &str) -> String {
    format!(
        "\nprocess `{name}` has overflowed its stack\nfatal runtime error: stack overflow, aborting\n"
    )
}

/// Goes once through what a child of the helper does from its birth to its value, on a line to itself, so that a fork of this process
/// finds done what need be done only once: symbols bound, memory at hand, this executable looked at.
///
/// It changes nothing that a birth does not set again.
pub(super) fn rehearse(name: &str, entered: Entered) -> Result<()> {
    let no_socket = |source| Error::os("no socket for a rehearsal", source);
    let (ours, theirs) = socket::pair().map_err(no_socket)?;
    let (ours, theirs) = (line_on(&ours), line_on(&theirs));
    let birth = Birth {
        name: name.to_owned(),
        parent_name: String::new(),
        daemon: false,
        start_method: StartMethod::ForkServer,
        entry: Place::of((|_, _| Ok(())) as Entry)
            .map_err(|source| Error::os("the executable cannot be read", source))?,
        authkey: AuthKey::new([]),
        environment: Some(Vec::new()),
        timeout: None,
        backtrace: None,
        limits: Limits::default(),
        current_dir: None,
        signal_mask: signal::Mask::MAX,
        subreaper: false,
        awaits_parent: false,
        has_arguments: true,
        roles: vec![Role::Output, Role::Error, Role::Directory],
    };
    let mut arguments = Outgoing::default();
    arguments.put("a rehearsal", name)?;
    let birth = birth.encode(&arguments.bytes)?;
    let unsaid = |source| Error::os("a line to itself cannot be used", source);
    let null = || stdio::null().map_err(unsaid);
    let root = stdio::working_directory().map_err(unsaid)?;
    ours.send(kind::BIRTH, &birth, &[null()?, null()?, root])
        .map_err(unsaid)?;
    let unchanged = Changes::default().encode()?;
    ours.send(kind::HERITAGE, &unchanged, &[]).map_err(unsaid)?;
    let (_, mut arguments) = arrive(&theirs, None, entered)?;
    drop(arguments.take::<String>()?);
    reply::send_reached(&theirs).map_err(unsaid)?;
    let mut value = Outgoing::default();
    value.put("a rehearsal", name)?;
    reply::send_returned(&theirs, value).map_err(unsaid)
}

/// Becomes what the parent wants this process to be; returns its function and the arguments.
fn arrive(line: &Line<'_>, birth: Option<Frame>, entered: Entered) -> Result<(Entry, Incoming)> {
    let Frame { mut bytes, fds, .. } = birth.map_or_else(|| next(line, "its settings"), Ok)?;
    let (mut birth, arguments) = Birth::decode(&mut bytes)?;
    if birth.awaits_parent && birth.start_method == StartMethod::ForkServer {
        reply::send_arrived(line).map_err(|source| Error::os("its parent is gone", source))?;
    }
    for (role, fd) in birth.roles.iter().zip(fds) {
        accept(*role, fd)?;
    }
    introduce(&mut birth)?;
    if entered == Entered::BeforeMain {
        overflow::say(overflow_message(&birth.name));
    }
    let mut another_stack = false;
    if birth.start_method == StartMethod::ForkServer {
        // It is finding that out at this moment.
        wait::spin(line.socket, SOON);
        another_stack = inherit(&next(line, "what its parent is like")?)?;
    } else {
        stdio::fill_gaps().map_err(setting(NO_NULL))?;
    }
    let has_arguments = birth.has_arguments;
    let entry = settle(birth)?.ok_or_else(|| {
        Error::new(
            ErrorKind::NotInExecutable,
            "its executable is another one than its parent's",
        )
    })?;
    if another_stack && entered == Entered::BeforeMain {
        overflow::watch().map_err(setting("its stack cannot be watched"))?;
    }
    let arguments = if has_arguments {
        Incoming::new(arguments, Vec::new())
    } else {
        Incoming::from(next(line, "its arguments")?)
    };
    Ok((entry, arguments.when_ready(reached)))
}

/// Takes on what is not as it was when the helper was started; returns whether the stack has
/// another limit.
fn inherit(frame: &Frame) -> Result<bool> {
    let changes: Changes = wire::decode(&frame.bytes).map_err(|source| {
        Error::new(ErrorKind::Decode, "what it inherits cannot be decoded").because(source)
    })?;
    let another_stack = changes.limits_stack();
    changes.apply()?;
    Ok(another_stack)
}

/// Puts a descriptor to its use.
fn accept(role: Role, fd: OwnedFd) -> Result<()> {
    match role {
        Role::Input => {
            stdio::replace(0, fd.as_fd()).map_err(setting("its standard input cannot be set"))
        }
        Role::Output => {
            stdio::replace(1, fd.as_fd()).map_err(setting("its standard output cannot be set"))
        }
        Role::Error => {
            stdio::replace(2, fd.as_fd()).map_err(setting("its standard error cannot be set"))
        }
        Role::Directory => stdio::set_working_directory(fd.as_fd()).map_err(setting(
            "its working directory cannot be that of its parent",
        )),
        Role::Lifeline => lifeline::tie(fd).map_err(setting("its lifeline cannot be armed")),
        Role::Sentinel => {
            // Its end is the end of this process.
            mem::forget(fd);
            Ok(())
        }
    }
}

/// Receives the next frame of the parent. Without one there is no parent to tell, and nothing to live for.
fn next(line: &Line<'_>, what: &str) -> Result<Frame> {
    match line.receive() {
        Ok(Some(frame)) => Ok(frame),
        Ok(None) => exit::now(FAILED),
        Err(source) => Err(Error::os(format!("{what} cannot be received"), source)),
    }
}

/// Takes on the environment and the identity.
fn introduce(birth: &mut Birth) -> Result<()> {
    if let Some(environment) = birth.environment.take() {
        environment::replace_before_main(environment);
    }
    backtrace::want(birth.backtrace);
    limits::set_name(&birth.name).map_err(setting("it cannot be named"))?;
    let identity = Identity {
        name: birth.name.clone(),
        daemon: birth.daemon,
        start_method: Some(birth.start_method),
        parent: Some(Parent::new(mem::take(&mut birth.parent_name))),
        before: None,
    };
    let authkey = mem::replace(&mut birth.authkey, AuthKey::new([]));
    identity::assume(identity, authkey);
    Ok(())
}

/// Applies the settings. Returns the function, if it is in this executable.
fn settle(birth: Birth) -> Result<Option<Entry>> {
    if let Some(left) = birth.timeout {
        signal::kill_after(left).map_err(setting("its timeout cannot be set"))?;
    }
    if birth.subreaper {
        family::keep_orphans().map_err(setting("it cannot keep its orphans"))?;
    }
    if let Some(path) = birth.current_dir.map(OsString::from_vec) {
        let what = format!("its working directory cannot be set to {}", path.display());
        env::set_current_dir(path).map_err(setting(what))?;
    }
    let wanted = birth.limits;
    if let Some(bytes) = wanted.memory {
        limits::set_memory(bytes).map_err(setting("its memory cannot be limited"))?;
    }
    if let Some(time) = wanted.cpu_time {
        limits::set_cpu_time(time).map_err(setting("its CPU time cannot be limited"))?;
    }
    if let Some(count) = wanted.open_files {
        limits::set_open_files(count).map_err(setting("its open files cannot be limited"))?;
    }
    if let Some(nice) = wanted.nice {
        limits::set_nice(nice)
            .map_err(setting(format!("its nice value cannot be set to {nice}")))?;
    }
    if let Some(cpus) = wanted.affinity {
        limits::set_affinity(&cpus)
            .map_err(setting(format!("it cannot be bound to the CPUs {cpus:?}")))?;
    }
    signal::set_mask(birth.signal_mask).map_err(setting("its signal mask cannot be set"))?;
    // An ignored SIGTERM would leave nothing that asks the process to end.
    signal::heed(libc::SIGTERM).map_err(setting("SIGTERM cannot be heeded"))?;
    let entry = birth.entry.map_or(Ok(None), |entry| entry.resolve());
    entry.map_err(|source| Error::os("its executable cannot be read", source))
}

fn setting<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Error {
    |source| Error::new(ErrorKind::Setting, what.into()).because(source.into())
}

/// Tells the parent that the function comes next. From here on whatever happens is the function's doing.
fn reached() -> Result<()> {
    if let Some(line) = line() {
        reply::send_reached(&line).map_err(|source| Error::os("its parent is gone", source))?;
    }
    REACHED.store(true, Ordering::Relaxed);
    // What the system refused before is not the function's doing.
    abort::forget();
    Ok(())
}

/// Runs the function and answers with what came of it; returns the exit status.
fn run(line: &Line<'_>, entry: Entry, mut arguments: Incoming) -> i32 {
    let mut sent = Ok(());
    let mut answer = |value: Outgoing<'_>| {
        if is_child() {
            sent = reply::send_returned(line, value);
        }
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| entry(&mut arguments, &mut answer)));
    if !is_child() {
        // What a copy comes to is its own business.
        return match outcome {
            Ok(_) => 0,
            Err(payload) => {
                mem::forget(payload);
                PANICKED
            }
        };
    }
    if !REACHED.load(Ordering::Relaxed) {
        return match outcome {
            Ok(Ok(())) => fail(
                line,
                &Error::new(ErrorKind::Decode, "its arguments were not asked for"),
            ),
            Ok(Err(error)) => fail(line, &error),
            Err(payload) => {
                let panic = panic::caught(&*payload);
                // Dropping a payload runs code of the user's, which could panic again.
                mem::forget(payload);
                fail(
                    line,
                    &Error::new(ErrorKind::Decode, format!("decoding its arguments {panic}")),
                )
            }
        };
    }
    // A parent that does not listen any more has given the value up, or is dead: that is no failure of this process.
    match outcome {
        Ok(Ok(())) => {
            if let Err(source) = sent {
                let error = Error::os("the output cannot be sent", source);
                let _ = reply::send_unsendable(line, &Failure::of(&error));
            }
            0
        }
        Ok(Err(error)) => {
            let _ = reply::send_unsendable(line, &Failure::of(&error));
            0
        }
        Err(payload) => {
            panic::caught(&*payload).tell(line);
            mem::forget(payload);
            PANICKED
        }
    }
}

/// Tells the parent why the function will not be reached; returns the exit status.
fn fail(line: &Line<'_>, error: &Error) -> i32 {
    // If the parent is gone there is nobody to tell.
    let _ = reply::send_failed(line, &Failure::of(error));
    FAILED
}
