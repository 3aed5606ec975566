//! The settings of a process that is to be started.

use super::{
    Child, Handle, Process,
    life::{Bounds, Life, Timeout},
    registry,
};
use crate::{
    error::{Error, ErrorKind, Result},
    start::{self, AuthKey, Order, Settings, StartMethod, Stdio},
    sys::limits,
    wire::{Incoming, Outgoing},
};
use std::{ffi::OsString, io, path::PathBuf, sync::Arc, time::Duration};

/// Settings for a process that is to be started, as [`std::thread::Builder`] has them for a thread.
///
/// What is not set here is as the process's attribute says, and else as described at each setting.
///
/// # Examples
///
/// ```
/// use procession::{Builder, process};
///
/// #[process]
/// fn greeting() -> String {
///     std::env::var("GREETING").unwrap_or_default()
/// }
///
/// let child = Builder::new().name("greeter").env("GREETING", "hello").spawn(greeting::new())?;
/// assert_eq!(child.name(), "greeter");
/// assert_eq!(child.join()?, "hello");
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Debug, Default)]
#[must_use = "a builder starts nothing until its `spawn` is called"]
pub struct Builder {
    settings: Settings,
}

impl Builder {
    /// Returns a builder that has set nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the process. By default it is called after its function or struct, and counted: `task-1`, `task-2`.
    ///
    /// The kernel knows it by the same name, cut to 15 bytes: `ps -o comm` and `top` show it.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = Some(name.into());
        self
    }

    /// Makes the process a daemon, or not, which is the default.
    ///
    /// A daemon does not outlive this process: when this process ends normally, daemons are terminated (SIGTERM, a second of
    /// grace, SIGKILL); when it ends in any other way, by SIGKILL even, the kernel kills them. A daemon may not start
    /// processes of its own.
    ///
    /// The kernel does not kill a daemon that has changed its user inside a user namespace, so that
    /// neither its real nor its saved user ID is what it was: such a daemon outlives a parent that
    /// does not end normally. Outside of user namespaces a daemon may change its user.
    pub fn daemon(mut self, daemon: bool) -> Self {
        self.settings.daemon = Some(daemon);
        self
    }

    /// Sets how the process is started. By default it is what [`set_start_method`](crate::set_start_method) has set.
    pub fn start_method(mut self, method: StartMethod) -> Self {
        self.settings.start_method = Some(method);
        self
    }

    /// Sets a variable in the environment of the process. By default the environment is that of this process.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.settings.env.push((name.into(), Some(value.into())));
        self
    }

    /// Removes a variable from the environment of the process.
    pub fn env_remove(mut self, name: impl Into<OsString>) -> Self {
        self.settings.env.push((name.into(), None));
        self
    }

    /// Starts the process with an empty environment, but for what [`env`](Self::env) sets after this.
    pub fn env_clear(mut self) -> Self {
        self.settings.env.clear();
        self.settings.env_clear = true;
        self
    }

    /// Sets the working directory of the process. By default it is that of this process, which a relative path starts from.
    #[doc(alias = "cwd")]
    pub fn current_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.current_dir = Some(path.into());
        self
    }

    /// Sets what the process reads as its standard input. By default it is [`Stdio::null`].
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.settings.stdin = Some(stdin.into());
        self
    }

    /// Sets where the standard output of the process goes. By default it goes where this process's goes.
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.settings.stdout = Some(stdout.into());
        self
    }

    /// Sets where the standard error of the process goes. By default it goes where this process's goes.
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.settings.stderr = Some(stderr.into());
        self
    }

    /// Kills the process if it still runs after this time. By default it may run for ever.
    ///
    /// The time counts from the call of [`spawn`](Self::spawn), so starting the process and decoding the arguments are part of it.
    /// A value that was sent before is not lost, and decoding it here is not part of the time. Zero is over at once, and [`Duration::MAX`] is never. The kernel sends SIGKILL, so neither a busy loop nor blocked
    /// signals help against it; joining gives [`JoinErrorKind::TimedOut`](crate::JoinErrorKind::TimedOut), also where the process
    /// had not reached its function. A process that execs has left the timer behind: it is killed a second later, if this process
    /// waits for it.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = Some(timeout);
        self
    }

    /// Kills the process when its [`Child`] is dropped: the drop sends SIGKILL and waits for the end. By default it runs on.
    ///
    /// What a test or a function that returns early leaves behind is gone then. [`Child::detach`] gives that up. Descendants of the
    /// process live on: see [`Handle::kill_tree`].
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::{Builder, process};
    ///
    /// #[process]
    /// fn hang() {
    ///     loop {
    ///         std::thread::park();
    ///     }
    /// }
    ///
    /// let child = Builder::new().kill_on_drop(true).spawn(hang::new())?;
    /// let handle = child.handle();
    /// drop(child);
    /// assert!(!handle.is_alive());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn kill_on_drop(mut self, kill: bool) -> Self {
        self.settings.kill_on_drop = Some(kill);
        self
    }

    /// Sets whether a panic of the process has a [backtrace](crate::Panic::backtrace). By default
    /// that is as `RUST_LIB_BACKTRACE` or `RUST_BACKTRACE` says in the environment of the process.
    ///
    /// The one that std's panic hook prints with the message is not affected: it follows
    /// `RUST_BACKTRACE` alone.
    pub fn backtrace(mut self, backtrace: bool) -> Self {
        self.settings.backtrace = Some(backtrace);
        self
    }

    /// Sets the authentication key of the process and its descendants. By default it is that of this process: see
    /// [`authkey`](crate::authkey).
    pub fn authkey(mut self, authkey: AuthKey) -> Self {
        self.settings.authkey = Some(authkey);
        self
    }

    /// Limits the address space of the process, in bytes (`RLIMIT_AS` of
    /// [getrlimit(2)](https://man7.org/linux/man-pages/man2/getrlimit.2.html)).
    ///
    /// What counts is what is mapped, whether it is used or not: the executable and its libraries, the stacks, and what an
    /// allocator reserves ahead. It is more than what is resident, often much more in a process with threads. An allocation past
    /// the limit fails, which in Rust ends the process: joining gives
    /// [`JoinErrorKind::OutOfMemory`](crate::JoinErrorKind::OutOfMemory).
    ///
    /// No limit of these is ever set above the hard limit of this process.
    #[doc(alias = "rlimit")]
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.settings.limits.memory = Some(bytes);
        self
    }

    /// Limits the CPU time of the process, in seconds rounded up (`RLIMIT_CPU`): when it is used up the process gets SIGXCPU,
    /// which ends it, and SIGKILL a second later. Joining gives
    /// [`JoinErrorKind::CpuTimeExceeded`](crate::JoinErrorKind::CpuTimeExceeded).
    #[doc(alias = "rlimit")]
    pub fn cpu_time_limit(mut self, time: Duration) -> Self {
        self.settings.limits.cpu_time = Some(time);
        self
    }

    /// Limits how many descriptors the process may have open (`RLIMIT_NOFILE`).
    #[doc(alias = "rlimit")]
    pub fn open_files_limit(mut self, count: u64) -> Self {
        self.settings.limits.open_files = Some(count);
        self
    }

    /// Sets the nice value of the process, from -20, the most favoured, to 19
    /// ([setpriority(2)](https://man7.org/linux/man-pages/man2/setpriority.2.html)). Lowering it takes a privilege.
    pub fn nice(mut self, nice: i32) -> Self {
        self.settings.limits.nice = Some(nice);
        self
    }

    /// Binds the process to these CPUs, counted from zero
    /// ([sched_setaffinity(2)](https://man7.org/linux/man-pages/man2/sched_setaffinity.2.html)).
    pub fn affinity(mut self, cpus: impl IntoIterator<Item = usize>) -> Self {
        self.settings.limits.affinity = Some(cpus.into_iter().collect());
        self
    }

    /// Has the process become the parent of those of its descendants whose own parent has ended
    /// ([`PR_SET_CHILD_SUBREAPER`](https://man7.org/linux/man-pages/man2/PR_SET_CHILD_SUBREAPER.2const.html)), so that
    /// [`kill_tree`](crate::Handle::kill_tree) finds them, whatever they did to get away. When such a one ends, the process has to wait for it,
    /// or it stays a zombie until the process ends.
    pub fn subreaper(mut self, subreaper: bool) -> Self {
        self.settings.subreaper = subreaper;
        self
    }

    /// The settings, as generated code has them.
    #[doc(hidden)]
    #[must_use]
    pub fn __settings(self) -> Settings {
        self.settings
    }

    /// Starts the process with these settings.
    ///
    /// Returns when the child has decoded its arguments and comes to its function. The arguments are dropped here; files and
    /// sockets among them stay open in the child.
    ///
    /// # Errors
    ///
    /// [`ErrorKind`] tells what went wrong: this process is a daemon; an argument cannot be encoded; the executable cannot or
    /// must not be run anew; the system has no more processes, descriptors or memory; a setting cannot be applied; the child
    /// ended before it reached its function, or received nothing of what it was sent for a minute. Nothing is left of the child
    /// after an error. Decoding the arguments has no limit but the [`timeout`](Self::timeout). A child that a helper makes and that is
    /// stopped on its way is replaced by another one.
    #[doc(alias = "start")]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "what is sent is given away: the files in it are closed here"
    )]
    pub fn spawn<P: Process>(self, process: P) -> Result<Child<P::Output>> {
        let mut settings = self.settings.or(P::__defaults());
        let timeout = settings.timeout.map(Timeout::new);
        let name = settings
            .name
            .take()
            .unwrap_or_else(|| P::__meta().next_name());
        start(&name, settings, timeout.transpose(), &process).map_err(|error| error.starting(&name))
    }
}

fn start<P: Process>(
    name: &str,
    settings: Settings,
    timeout: io::Result<Option<Timeout>>,
    process: &P,
) -> Result<Child<P::Output>> {
    let timeout = timeout.map_err(|source| Error::os("no timer for its timeout", source))?;
    if start::current().daemon {
        return Err(Error::new(
            ErrorKind::DaemonicChildren,
            "daemonic processes are not allowed to have children",
        ));
    }
    registry::prepare()?;
    let mut arguments = Outgoing::default();
    process.__send(&mut arguments)?;
    let daemon = settings.daemon.unwrap_or(false);
    let kill_on_drop = settings.kill_on_drop.unwrap_or(false);
    let bounds = Bounds {
        memory: settings.limits.memory,
        cpu_time: settings.limits.cpu_time.map(limits::whole_seconds),
    };
    let function = P::__meta().name();
    let started = start::start(Order {
        name: name.to_owned(),
        daemon,
        entry: entry::<P>,
        function,
        arguments,
        settings,
        deadline: timeout.as_ref().and_then(Timeout::deadline),
        copying: registry::COPYING,
    })?;
    let about = (name.to_owned(), daemon, started.start_method);
    let life = Arc::new(Life::new(
        about,
        (timeout, bounds, started.reached),
        (started.sentinel, started.lifeline),
        registry::remove,
    ));
    registry::add(Arc::clone(&life));
    Ok(Child::new(
        started.streams,
        started.socket,
        Handle::new(life),
        P::__receive,
        kill_on_drop,
    ))
}

/// What the child runs: from the arguments to the value, both encoded.
fn entry<P: Process>(arguments: &mut Incoming, answer: &mut dyn FnMut(Outgoing<'_>)) -> Result<()> {
    let output = start::__rust_begin_short_backtrace(|| P::__run(arguments))?;
    let mut value = Outgoing::default();
    P::__reply(&output, &mut value)?;
    answer(value);
    Ok(())
}
