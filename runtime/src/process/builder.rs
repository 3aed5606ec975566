//! The settings of a process, and the call that starts it.

use super::{
    Child, Handle, Process,
    life::{Bounds, Life, Timeout},
    registry,
};
use crate::{
    call,
    error::{Error, ErrorKind, Result},
    start::{
        self, AuthKey, Bond, Environment, Event, Order, Setting, Settings, StartMethod, Stdio,
    },
    sys::limits,
};
use std::{
    ffi::OsString,
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

/// The settings with which a process is started, as [`std::thread::Builder`] has them for a thread.
///
/// A setting that is not set here has the value that the attribute of the process gives it. Without
/// such a value it has the default that is described at the setting. [`reset`](Self::reset) gives a
/// setting its default, whatever the attribute says.
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
#[derive(Clone, Debug, Default)]
#[must_use = "a builder starts nothing until its `spawn` is called"]
pub struct Builder {
    settings: Settings,
}

impl Builder {
    /// Returns a builder with no settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the name of the process. By default it is the name of the function or struct with a
    /// number: `task-1`, `task-2`.
    ///
    /// The kernel gets the same name, cut to 15 bytes. `ps -o comm` and `top` show it.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = Some(name.into());
        self
    }

    /// Sets whether the process is a daemon. By default it is not.
    ///
    /// A daemon does not outlive this process. When this process ends normally, it sends SIGTERM to
    /// each daemon, and SIGKILL a second later. When this process ends in any other way, even by
    /// SIGKILL, the kernel kills the daemons. A daemon may not start processes of its own, unless
    /// [`may_have_children`](Self::may_have_children) allows it.
    ///
    /// There is one exception. The kernel does not kill a daemon that has changed its user inside a
    /// user namespace, if neither its real nor its saved user ID is what it was. Such a daemon
    /// outlives a parent that does not end normally. Outside of user namespaces, a daemon may
    /// change its user.
    pub fn daemon(mut self, daemon: bool) -> Self {
        self.settings.daemon = Some(daemon);
        self
    }

    /// Sets whether the process may start processes of its own. By default it may, unless it is a
    /// [daemon](Self::daemon).
    ///
    /// A daemon that may have children cannot wait for them when it is killed. So they do not
    /// outlive it, however it ends, and their own children do not outlive them. When the daemon
    /// ends normally, it waits for them, as every process does.
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::{Builder, process};
    ///
    /// #[process]
    /// fn leaf() -> u32 {
    ///     1
    /// }
    ///
    /// #[process]
    /// fn service() -> u32 {
    ///     leaf::spawn().unwrap().join().unwrap() + 1
    /// }
    ///
    /// let child = Builder::new().daemon(true).may_have_children(true).spawn(service::new())?;
    /// assert_eq!(child.join()?, 2);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn may_have_children(mut self, may: bool) -> Self {
        self.settings.may_have_children = Some(may);
        self
    }

    /// Sets how the process is started. By default it is started as
    /// [`set_start_method`](crate::set_start_method) says.
    pub fn start_method(mut self, method: StartMethod) -> Self {
        self.settings.start_method = Some(method);
        self
    }

    /// Sets a variable in the environment of the process. By default, the process has the
    /// environment of this process. The changes of the attribute come first, then those of this
    /// builder.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment().change(name.into(), Some(value.into()));
        self
    }

    /// Sets several variables, as [`env`](Self::env) does. By default, none is set.
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::{Builder, process};
    ///
    /// #[process]
    /// fn zone() -> Option<String> {
    ///     std::env::var("TZ").ok()
    /// }
    ///
    /// let child = Builder::new().envs([("LANG", "C"), ("TZ", "UTC")]).spawn(zone::new())?;
    /// assert_eq!(child.join()?.as_deref(), Some("UTC"));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn envs<N, V>(mut self, variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        for (name, value) in variables {
            self.environment().change(name.into(), Some(value.into()));
        }
        self
    }

    /// Removes a variable from the environment of the process. By default, none is removed.
    pub fn env_remove(mut self, name: impl Into<OsString>) -> Self {
        self.environment().change(name.into(), None);
        self
    }

    /// Starts the process with an empty environment. Only variables that [`env`](Self::env) sets
    /// after this call are in it, not those of the attribute. By default, the process has the
    /// environment of this process.
    pub fn env_clear(mut self) -> Self {
        self.environment().clear();
        self
    }

    fn environment(&mut self) -> &mut Environment {
        self.settings.env.get_or_insert_default()
    }

    /// Sets the working directory of the process. By default it is that of this process. A relative
    /// path is relative to the working directory of this process.
    #[doc(alias = "cwd")]
    pub fn current_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.child.current_dir = Some(path.into());
        self
    }

    /// Sets the standard input of the process. By default it is [`Stdio::null`].
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.settings.stdin = Some(stdin.into());
        self
    }

    /// Sets the standard output of the process. By default it is that of this process.
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.settings.stdout = Some(stdout.into());
        self
    }

    /// Sets the standard error of the process. By default it is that of this process.
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.settings.stderr = Some(stderr.into());
        self
    }

    /// Kills the process if it still runs after this time. By default there is no timeout.
    ///
    /// The time counts from the call of [`spawn`](Self::spawn). So it includes starting the process
    /// and decoding the arguments there. A timeout of zero is over at once. [`Duration::MAX`] means
    /// no timeout.
    ///
    /// The kernel sends SIGKILL, so a process cannot avoid it by a busy loop or by blocking
    /// signals. Joining then fails with
    /// [`JoinErrorKind::TimedOut`](crate::JoinErrorKind::TimedOut), even if the process had not
    /// reached its function. A value that was sent before the timeout is not lost. Decoding the
    /// value here does not count.
    ///
    /// A process that calls `exec` loses the timer. It is killed a second later, if this process
    /// waits for it.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = Some(timeout);
        self
    }

    /// Sets whether dropping the [`Child`] kills the process. By default the process runs on.
    ///
    /// The drop sends SIGKILL and waits for the end of the process. So nothing is left behind by a
    /// test that fails, or by a function that returns early. [`Child::detach`] cancels this
    /// setting. Descendants of the process live on: see [`Handle::kill_tree`].
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
    /// `RUST_LIB_BACKTRACE` or `RUST_BACKTRACE` decides, as set in the environment of the process.
    ///
    /// This does not affect the backtrace that std's panic hook prints with the message: only
    /// `RUST_BACKTRACE` does.
    pub fn backtrace(mut self, backtrace: bool) -> Self {
        self.settings.child.backtrace = Some(backtrace);
        self
    }

    /// Sets the authentication key of the process and its descendants. By default it is the key of
    /// this process: see [`authkey`](crate::authkey).
    pub fn authkey(mut self, authkey: AuthKey) -> Self {
        self.settings.authkey = Some(authkey);
        self
    }

    /// Limits the address space of the process, in bytes (`RLIMIT_AS` of
    /// [getrlimit(2)](https://man7.org/linux/man-pages/man2/getrlimit.2.html)). By default the
    /// limit is that of this process.
    ///
    /// All mapped memory counts, used or not: the executable and its libraries, the stacks, and
    /// what an allocator reserves in advance. That is more than the resident memory, often much
    /// more in a process with threads. An allocation beyond the limit fails. In Rust this ends the
    /// process, and joining fails with
    /// [`JoinErrorKind::OutOfMemory`](crate::JoinErrorKind::OutOfMemory).
    ///
    /// The limits of this builder never exceed the hard limits of this process.
    #[doc(alias = "rlimit")]
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.settings.child.memory_limit = Some(bytes);
        self
    }

    /// Limits the CPU time of the process (`RLIMIT_CPU`), rounded up to whole seconds. The least
    /// limit is one second. By default the limit is that of this process.
    ///
    /// The kernel counts this time in ticks. [`JoinError::cpu_time`](crate::JoinError::cpu_time) is
    /// exact, and may be a little less than the limit that was reached.
    ///
    /// When the time is used up, the process gets SIGXCPU, which ends it, and SIGKILL a second
    /// later. Joining then fails with
    /// [`JoinErrorKind::CpuTimeExceeded`](crate::JoinErrorKind::CpuTimeExceeded).
    #[doc(alias = "rlimit")]
    pub fn cpu_time_limit(mut self, time: Duration) -> Self {
        self.settings.child.cpu_time_limit = Some(time);
        self
    }

    /// Limits how many descriptors the process may have open (`RLIMIT_NOFILE`). By default the
    /// limit is that of this process.
    #[doc(alias = "rlimit")]
    pub fn open_files_limit(mut self, count: u64) -> Self {
        self.settings.child.open_files_limit = Some(count);
        self
    }

    /// Sets the nice value of the process, from -20 (the highest priority) to 19
    /// ([setpriority(2)](https://man7.org/linux/man-pages/man2/setpriority.2.html)). Lowering the
    /// value needs a privilege. By default the value is that of this process.
    pub fn nice(mut self, nice: i32) -> Self {
        self.settings.child.nice = Some(nice);
        self
    }

    /// Restricts the process to these CPUs, counted from zero
    /// ([sched_setaffinity(2)](https://man7.org/linux/man-pages/man2/sched_setaffinity.2.html)). By
    /// default it runs on those of this process.
    pub fn affinity(mut self, cpus: impl IntoIterator<Item = usize>) -> Self {
        self.settings.child.affinity = Some(cpus.into_iter().collect());
        self
    }

    /// Sets whether the process becomes the parent of descendants whose own parent has ended
    /// ([`PR_SET_CHILD_SUBREAPER`][subreaper]). By default it does not.
    ///
    /// [subreaper]: https://man7.org/linux/man-pages/man2/PR_SET_CHILD_SUBREAPER.2const.html
    ///
    /// With this, [`kill_tree`](crate::Handle::kill_tree) finds all descendants, whatever they did
    /// to escape. The process has to wait for such a descendant when it ends. Otherwise the
    /// descendant stays a zombie until the process ends.
    pub fn subreaper(mut self, subreaper: bool) -> Self {
        self.settings.child.subreaper = Some(subreaper);
        self
    }

    /// Puts the process into a process group
    /// ([setpgid(2)](https://man7.org/linux/man-pages/man2/setpgid.2.html)): zero means a new group
    /// of its own, any other number the group with this id, in the same session. By default it is
    /// in the group of this process.
    ///
    /// The terminal sends SIGINT to the foreground group when Ctrl-C is pressed. A process in
    /// another group does not get it.
    pub fn process_group(mut self, group: i32) -> Self {
        self.settings.child.process_group = Some(group);
        self
    }

    /// Sets the supplementary groups of the process
    /// ([setgroups(2)](https://man7.org/linux/man-pages/man2/setgroups.2.html)). By default they
    /// are those of this process, or none if [`uid`](Self::uid) is set by a privileged process.
    ///
    /// This needs the capability `CAP_SETGID`.
    pub fn groups(mut self, groups: impl IntoIterator<Item = u32>) -> Self {
        self.settings.child.groups = Some(groups.into_iter().collect());
        self
    }

    /// Sets the group of the process
    /// ([setgid(2)](https://man7.org/linux/man-pages/man2/setgid.2.html)). By default it is that of
    /// this process. A group that this process does not have needs the capability `CAP_SETGID`.
    pub fn gid(mut self, gid: u32) -> Self {
        self.settings.child.gid = Some(gid);
        self
    }

    /// Sets the user of the process
    /// ([setuid(2)](https://man7.org/linux/man-pages/man2/setuid.2.html)). By default it is that of
    /// this process. Another user needs the capability `CAP_SETUID`.
    ///
    /// The user changes when all other settings were applied, and before the arguments are decoded:
    /// files that are opened by their name must be open to the new user. To start processes of its
    /// own, the process must be able to execute this program.
    pub fn uid(mut self, uid: u32) -> Self {
        self.settings.child.uid = Some(uid);
        self
    }

    /// Takes a setting back: the process has the default of that setting.
    ///
    /// This holds whether the attribute of the process sets it or an earlier call on this builder.
    /// A later call on this builder sets it again. To leave a setting to the attribute, do not call
    /// its method.
    ///
    /// One method takes back every setting, rather than `None` in the place of each value. So the
    /// methods take values as they are: `.memory_limit(1 << 30)`, `.stdout(file)`. And the changes
    /// of the environment, which are many values, are taken back as the others.
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::{Builder, Setting, process};
    ///
    /// #[process(env("GREETING" = "hello"), timeout = std::time::Duration::ZERO)]
    /// fn greeting() -> Option<String> {
    ///     std::env::var("GREETING").ok()
    /// }
    ///
    /// let unlimited = || Builder::new().reset(Setting::Timeout);
    /// let child = unlimited().spawn(greeting::new())?;
    /// assert_eq!(child.join()?.as_deref(), Some("hello"));
    /// let child = unlimited().reset(Setting::Env).spawn(greeting::new())?;
    /// assert_eq!(child.join()?, None);
    /// # Ok::<(), procession::Error>(())
    /// ```
    #[doc(alias = "unset")]
    pub fn reset(mut self, setting: Setting) -> Self {
        self.settings.reset(setting);
        self
    }

    /// Returns the timeout that the process would have.
    pub(crate) fn timeout_of<P: Process>(&self) -> Option<Duration> {
        self.settings.timeout.or(P::__defaults().timeout)
    }

    /// Returns the start method that the process would have, unless its attribute says another one.
    #[cfg(feature = "pool")]
    pub(crate) fn method(&self) -> StartMethod {
        self.settings.start_method.unwrap_or_default()
    }

    /// Whether the process would have a timeout.
    #[cfg(feature = "pool")]
    pub(crate) fn has_timeout(&self) -> bool {
        self.settings.timeout.is_some()
    }

    /// Whether a standard stream of the process would be a pipe.
    #[cfg(feature = "pool")]
    pub(crate) fn has_pipe(&self) -> bool {
        let Settings {
            stdin,
            stdout,
            stderr,
            ..
        } = &self.settings;
        let streams = [stdin, stdout, stderr].into_iter().flatten();
        streams.into_iter().any(Stdio::is_piped)
    }

    /// Returns the settings, for generated code.
    #[doc(hidden)]
    #[must_use]
    pub fn __settings(self) -> Settings {
        self.settings
    }

    /// Starts the process with these settings.
    ///
    /// Blocks until the child has decoded its arguments and enters its function. The arguments are
    /// dropped here. Files and sockets in them stay open in the child.
    ///
    /// # Errors
    ///
    /// [`ErrorKind`] tells what failed:
    ///
    /// - The system is not supported.
    /// - This process is a daemon, or [may not have children](Self::may_have_children) otherwise.
    /// - An argument cannot be encoded.
    /// - The executable cannot, or must not, be executed again.
    /// - The system has no processes, descriptors or memory left.
    /// - A setting cannot be applied.
    /// - The child ended before it reached its function.
    /// - A function under [`#[procession::init]`](macro@crate::init) failed in the child.
    /// - For a minute, the child received nothing of what it was sent. Decoding the arguments, and
    ///   what runs under `init`, have no limit except the [`timeout`](Self::timeout).
    ///
    /// If the child fills a [piped](Stdio::piped) stream before it enters its function, it waits
    /// for a reader, who gets the pipe only when this returns. A pipe holds 64 KiB.
    ///
    /// After an error nothing is left of the child. If a child of a helper is stopped before it
    /// reaches its function, it is replaced by another child, without an error. But a child that
    /// has been sent a part of very large arguments, before they were wholly encoded, cannot be
    /// replaced.
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
        start(&name, settings, timeout.transpose(), &process)
            .map_err(|error| error.starting(&name))
            .inspect_err(|error| start::tell(|| Event::Refused { name: &name, error }))
    }
}

fn start<P: Process>(
    name: &str,
    settings: Settings,
    timeout: io::Result<Option<Timeout>>,
    process: &P,
) -> Result<Child<P::Output>> {
    start::check_support()?;
    let began = Instant::now();
    let timeout = timeout.map_err(|source| Error::os("no timer for its timeout", source))?;
    let own = start::current().bond;
    if !own.may_have_children {
        let what = if own.is_daemon() {
            "daemonic processes are not allowed to have children"
        } else {
            "this process is not allowed to have children"
        };
        return Err(Error::new(ErrorKind::DaemonicChildren, what));
    }
    registry::prepare()?;
    let bond = Bond::of_child(own, settings.daemon, settings.may_have_children);
    let kill_on_drop = settings.kill_on_drop.unwrap_or(false);
    let bounds = Bounds {
        memory: settings.child.memory_limit,
        cpu_time: settings.child.cpu_time_limit.map(limits::whole_seconds),
    };
    let function = P::__meta().name();
    let started = start::start(Order {
        name: name.to_owned(),
        bond,
        entry: call::entry::<P>,
        function,
        arguments: process,
        settings,
        deadline: timeout.as_ref().and_then(Timeout::deadline),
        copying: registry::COPYING,
    })?;
    let about = (name.to_owned(), bond, started.start_method);
    let life = Arc::new(Life::new(
        about,
        (timeout, bounds, started.reached),
        (started.sentinel, started.lifeline),
        registry::remove,
    ));
    registry::add(Arc::clone(&life));
    start::tell(|| Event::Spawned {
        child: life.about(),
        is_spare: started.is_spare,
        took: began.elapsed(),
    });
    Ok(Child::new(
        started.streams,
        started.socket,
        Handle::new(life),
        P::__receive,
        kill_on_drop,
    ))
}
