//! A running process and the value it will hand back.

use super::{Handle, JoinError, join_error::Cause, life::End, reaper};
use crate::{
    error::{Error, Result},
    start::{Panic, Reply, StartMethod, Streams, receive_reply, replenish},
    sys::wait,
    wire::{Incoming, Line},
};
use std::{
    fmt,
    io::{self, ErrorKind},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::process::ExitStatusExt,
    },
    process::{ChildStderr, ChildStdin, ChildStdout, ExitStatus},
    sync::Arc,
    time::{Duration, Instant},
};

/// A process that was spawned, and that hands back a `T`.
///
/// Dropping it gives up the handle and the value: the process runs on, and is reaped when it ends. It is still waited for (or,
/// a daemon, terminated) when this process ends normally; [`detach`](Self::detach) exempts it from that. With
/// [`Builder::kill_on_drop`](crate::Builder::kill_on_drop) the drop ends the process, and waits for the end.
///
/// # In tests
///
/// A test that fails drops its children, and the program of the tests waits for them at its end: one that never ends keeps the
/// whole run from ending. Start processes that wait for something with [`kill_on_drop`](crate::Builder::kill_on_drop), or with
/// [`daemon`](crate::Builder::daemon), which ends them with the program of the tests, or bound them all by
/// [`set_exit_grace`](crate::set_exit_grace).
///
/// Its [`AsFd`] is a [pidfd](https://man7.org/linux/man-pages/man2/pidfd_open.2.html), which becomes readable when the process ends:
/// what Python calls the sentinel.
///
/// # Examples
///
/// ```
/// use procession::process;
///
/// #[process]
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// let child = square::spawn(12)?;
/// assert!(child.name().starts_with("square-"));
/// assert_eq!(child.join()?, 144);
/// # Ok::<(), procession::Error>(())
/// ```
#[must_use = "dropping a `Child` gives up its value: join it, or detach it if nobody is to wait for it"]
pub struct Child<T> {
    /// The write end of the process's standard input, if it was [piped](crate::Stdio::piped).
    pub stdin: Option<ChildStdin>,
    /// The read end of the process's standard output, if it was [piped](crate::Stdio::piped).
    pub stdout: Option<ChildStdout>,
    /// The read end of the process's standard error, if it was [piped](crate::Stdio::piped).
    pub stderr: Option<ChildStderr>,
    handle: Handle,
    value: Value<T>,
    kill_on_drop: bool,
}

/// How long a value is waited for without going to sleep: about as long as going to sleep and being woken takes.
const SOON: Duration = Duration::from_micros(20);

/// Whether a value of this type may take more room than there is in a socket.
const fn may_be_large<T>() -> bool {
    std::mem::needs_drop::<T>() || size_of::<T>() > 4096
}

/// How many answers of a process are read at most.
const MOST_WORDS: usize = 8;

/// How long a process that was killed may take to end.
const LAST_BREATH: Duration = Duration::from_secs(5);

/// What a process has said of its end.
enum Words<T> {
    /// This process has no descriptor for what comes with it, and it has stayed on the line.
    NoRoom(io::Error),
    /// The same, and it is lost: another thread has taken the last descriptor meanwhile.
    Unread(io::Error),
    Returned(T),
    Undecodable(Error),
    Unsendable(Error),
    /// A value that broke off: it is not sent if the process ended by itself.
    Lost(Error),
    Panicked(Panic),
    OutOfMemory,
    Nothing,
}

/// Where the value will come from; none once it has been given out.
struct Value<T>(Option<(OwnedFd, Decode<T>)>);

type Decode<T> = fn(&mut Incoming) -> Result<T>;

impl<T> Child<T> {
    pub(super) fn new(
        streams: Streams,
        socket: OwnedFd,
        handle: Handle,
        decode: Decode<T>,
        kill_on_drop: bool,
    ) -> Self {
        let Streams {
            stdin,
            stdout,
            stderr,
        } = streams;
        Self {
            stdin,
            stdout,
            stderr,
            handle,
            value: Value(Some((socket, decode))),
            kill_on_drop,
        }
    }

    /// Returns the id of the process.
    #[must_use]
    #[doc(alias = "pid")]
    pub fn id(&self) -> u32 {
        self.handle.id()
    }

    /// Returns the name of the process.
    #[must_use]
    pub fn name(&self) -> &str {
        self.handle.name()
    }

    /// Returns whether the process is a daemon, which does not outlive this process.
    #[must_use]
    pub fn is_daemon(&self) -> bool {
        self.handle.is_daemon()
    }

    /// Returns how the process was started, which may be another way than was asked for where that is not to be had.
    #[must_use]
    pub fn start_method(&self) -> StartMethod {
        self.handle.start_method()
    }

    /// Returns whether the process still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.handle.is_alive()
    }

    /// Returns an untyped handle, which can signal the process while another thread joins it.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Waits for the process to end, for as long as that takes, and returns its value.
    ///
    /// A standard input that is piped and still here is closed first, so that a process that reads to its end gets there.
    ///
    /// # Errors
    ///
    /// When the process ended without a value: [`JoinError`] tells why.
    pub fn join(mut self) -> Result<T, JoinError> {
        self.stdin = None;
        if const { may_be_large::<T>() } {
            // One that has nowhere to leave its value stays until it is taken.
            let value = self.value()?;
            // The value is here, whatever the system says of the end.
            let _ = self.handle.life.wait(None);
            return Ok(value);
        }
        loop {
            if let Some(value) = self.join_until(None)? {
                return Ok(value);
            }
        }
    }

    /// Waits for the value, for as long as that takes, but not for the process to end, as [`join`](Self::join) does: it may still have
    /// children of its own to wait for, or memory to give back.
    ///
    /// What this leaves is a process without a value, which can be waited for, signalled or dropped.
    ///
    /// # Errors
    ///
    /// When the process ended without a value: [`JoinError`] tells why. When the value was given out already.
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::process;
    ///
    /// #[process]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// let mut child = square::spawn(12)?;
    /// assert_eq!(child.value()?, 144);
    /// assert!(child.wait()?.success());
    /// # Ok::<(), procession::Error>(())
    /// ```
    #[doc(alias = "result")]
    pub fn value(&mut self) -> Result<T, JoinError> {
        self.stdin = None;
        if !self.handle.life.is_own() {
            let source = io::Error::from_raw_os_error(libc::ECHILD);
            return Err(self.ended(None, Cause::Os(source)));
        }
        let Some((socket, decode)) = self.value.0.take() else {
            return Err(self.ended(None, Cause::Taken));
        };
        wait::spin(socket.as_fd(), SOON);
        let words = self.last_words(&socket, decode, self.handle.life.overdue());
        match words {
            Words::Returned(value) => return Ok(value),
            Words::NoRoom(source) => {
                self.value.0 = Some((socket, decode));
                return Err(self.ended(None, Cause::Os(source)));
            }
            _ => {}
        }
        // A process that still writes finds nobody to read.
        drop(socket);
        // How it ended is part of why there is no value.
        loop {
            match self.handle.life.wait(None) {
                Ok(Some(end)) => return self.conclude(words, end),
                Ok(None) => {}
                Err(source) => return Err(self.ended(None, Cause::Os(source))),
            }
        }
    }

    /// Returns the value if the process has ended, without waiting: none while it runs.
    ///
    /// # Errors
    ///
    /// When the process ended without a value: [`JoinError`] tells why. When the value was given out already.
    pub fn try_join(&mut self) -> Result<Option<T>, JoinError> {
        self.join_until(Some(Instant::now()))
    }

    /// Waits for the process to end, but no longer than `timeout`, and returns its value: none if it still runs then.
    ///
    /// The process itself is not touched by that: it can be waited for again, or killed.
    ///
    /// # Errors
    ///
    /// When the process ended without a value: [`JoinError`] tells why. When the value was given out already.
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::process;
    /// use std::time::Duration;
    ///
    /// #[process]
    /// fn hang() {
    ///     loop {
    ///         std::thread::park();
    ///     }
    /// }
    ///
    /// let mut child = hang::spawn()?;
    /// assert_eq!(child.join_timeout(Duration::from_millis(10))?, None);
    /// child.kill()?;
    /// assert!(child.join().is_err());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn join_timeout(&mut self, timeout: Duration) -> Result<Option<T>, JoinError> {
        self.join_until(wait::deadline(timeout))
    }

    /// Waits for the process to end, for as long as that takes, and returns how it did. The value stays here to be joined.
    ///
    /// A standard input that is piped and still here is closed first.
    ///
    /// # Errors
    ///
    /// When somebody else has reaped the process: a `waitpid` for any child, or the kernel, where SIGCHLD is ignored.
    #[doc(alias = "exitcode")]
    pub fn wait(&mut self) -> Result<ExitStatus> {
        self.stdin = None;
        self.handle.wait()
    }

    /// Asks the process to end, with SIGTERM: see [`Handle::terminate`].
    ///
    /// # Errors
    ///
    /// When the process may not be signalled, having changed its user.
    pub fn terminate(&self) -> Result<()> {
        self.handle.terminate()
    }

    /// Ends the process, with SIGKILL: see [`Handle::kill`].
    ///
    /// # Errors
    ///
    /// When the process may not be signalled, having changed its user.
    pub fn kill(&self) -> Result<()> {
        self.handle.kill()
    }

    /// Ends the process and all of its descendants: see [`Handle::kill_tree`].
    ///
    /// # Errors
    ///
    /// When one of them cannot be ended.
    pub fn kill_tree(&mut self) -> Result<ExitStatus> {
        self.handle.kill_tree()
    }

    /// Sends a signal by its number: see [`Handle::signal`].
    ///
    /// # Errors
    ///
    /// When there is no such signal, or the process may not be signalled, having changed its user.
    pub fn signal(&self, signal: i32) -> Result<()> {
        self.handle.signal(signal)
    }

    /// Asks the process to end, and ends it if it has not after `grace`: see [`Handle::shutdown`].
    ///
    /// # Errors
    ///
    /// When the process may not be signalled, or somebody else has reaped it.
    pub fn shutdown(&mut self, grace: Duration) -> Result<ExitStatus> {
        self.stdin = None;
        self.handle.shutdown(grace)
    }

    /// Lets the process go for good: nobody waits for it at the end of this process, not even for a normal end, and
    /// [`children`](crate::children) does not list it any more. It is reaped when it ends before this process does.
    ///
    /// A daemon still does not outlive this process: that is its nature.
    pub fn detach(mut self) {
        self.kill_on_drop = false;
        self.handle.life.detach();
        // Dropping it has it reaped.
    }

    fn join_until(&mut self, deadline: Option<Instant>) -> Result<Option<T>, JoinError> {
        if self.value.0.is_none() {
            return Err(self.ended(None, Cause::Taken));
        }
        let end = match self.handle.life.wait(deadline) {
            Ok(Some(end)) => end,
            Ok(None) => return Ok(None),
            Err(source) => return Err(self.ended(None, Cause::Os(source))),
        };
        let Some((socket, decode)) = self.value.0.take() else {
            return Ok(None);
        };
        // Nobody is there any more to be waited for.
        let words = self.last_words(&socket, decode, None);
        if matches!(words, Words::NoRoom(_)) {
            self.value.0 = Some((socket, decode));
        }
        self.conclude(words, end).map(Some)
    }

    /// What came of a process that has ended, and of what it said.
    fn conclude(&self, words: Words<T>, end: End) -> Result<T, JoinError> {
        let cause = match words {
            Words::Returned(value) => return Ok(value),
            Words::Undecodable(error) => Cause::Undecodable(error),
            Words::Unsendable(error) => Cause::Unsendable(error),
            Words::Lost(error) if end.is_none_or(|status| status.signal().is_none()) => {
                Cause::Unsendable(error)
            }
            Words::Panicked(panic) => Cause::Panicked(panic),
            Words::OutOfMemory => Cause::OutOfMemory(self.handle.life.bounds.memory),
            Words::NoRoom(source) | Words::Unread(source) => Cause::Os(source),
            Words::Lost(_) | Words::Nothing => self.cause_of(end),
        };
        Err(self.ended(end, cause))
    }

    /// Reads what the process has left on the line, or says there, until then: its value, or why there is none.
    fn last_words(&self, socket: &OwnedFd, decode: Decode<T>, until: Option<Instant>) -> Words<T> {
        let line = Line {
            peer: Some(self.handle.as_fd()),
            until,
            ..Line::on(socket.as_fd())
        };
        let mut words = Words::Nothing;
        // It says little. A copy of it, made by a bare `fork`, could go on for ever.
        for _ in 0..MOST_WORDS {
            match receive_reply(&line) {
                Ok(Some(Reply::Returned(mut value))) => {
                    return decode(&mut value).map_or_else(Words::Undecodable, Words::Returned);
                }
                Ok(Some(Reply::Unsendable(failure))) => return Words::Unsendable(failure.into()),
                Ok(Some(Reply::Lost(failure))) => return Words::Lost(failure.into()),
                Ok(Some(Reply::NoRoom(source))) => return Words::NoRoom(source),
                Ok(Some(Reply::Panicked(panic))) => words = Words::Panicked(panic),
                Ok(Some(Reply::Backtrace(backtrace))) => {
                    if let Words::Panicked(panic) = words {
                        words = Words::Panicked(panic.with_backtrace(backtrace));
                    }
                }
                // A panic that was reported comes first.
                Ok(Some(Reply::OutOfMemory)) if matches!(words, Words::Nothing) => {
                    words = Words::OutOfMemory;
                }
                Ok(Some(
                    Reply::OutOfMemory | Reply::Arrived | Reply::Reached | Reply::Failed(_),
                )) => {}
                // Killed in the middle of a word, or it has used up its time.
                Ok(None) => break,
                Err(error)
                    if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::TimedOut) =>
                {
                    break;
                }
                Err(source)
                    if matches!(source.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) =>
                {
                    return Words::Unread(source);
                }
                Err(source) => {
                    return Words::Undecodable(Error::os("it cannot be received", source));
                }
            }
        }
        words
    }

    fn cause_of(&self, end: End) -> Cause {
        let life = &self.handle.life;
        let signal = end.and_then(|status| status.signal());
        match (&life.timeout, life.bounds.cpu_time, signal) {
            (Some(timeout), _, _)
                if (end.is_none() || signal == Some(libc::SIGKILL)) && timeout.was_used_up() =>
            {
                Cause::TimedOut(timeout.after)
            }
            (_, Some(limit), Some(signal)) if self.has_used_up(limit, signal) => {
                Cause::CpuTimeExceeded(limit)
            }
            (_, _, None) => Cause::Exited,
            (_, _, Some(signal)) if life.was_sent(signal) => Cause::Killed,
            _ => Cause::Signalled,
        }
    }

    /// Whether this signal was the kernel's answer to the use of that much CPU time.
    fn has_used_up(&self, limit: Duration, signal: i32) -> bool {
        let used = self.handle.life.usage().map(|usage| usage.cpu_time);
        // Where the limit is looked at, time is counted in whole ticks, which a process that often sleeps for a part of one has more
        // of than what is counted exactly at the end. Less than half cannot be that.
        let has_used = |time: Duration| used.is_some_and(|used| used >= time / 2);
        match signal {
            libc::SIGXCPU => has_used(limit),
            libc::SIGKILL => has_used(limit.saturating_add(Duration::from_secs(1))),
            _ => false,
        }
    }

    fn ended(&self, end: End, cause: Cause) -> JoinError {
        JoinError::new(&self.handle.life, end, cause)
    }
}

impl<T> Drop for Child<T> {
    fn drop(&mut self) {
        if !self.handle.life.is_own() {
            return;
        }
        if self.kill_on_drop && self.handle.is_alive() {
            // One that may not be killed, having gained other rights, is left to end by itself.
            let killed = self.handle.life.signal(libc::SIGKILL).is_ok();
            let patience = wait::deadline(if killed { LAST_BREATH } else { Duration::ZERO });
            let _ = self.handle.life.wait(patience);
        }
        if self.handle.is_alive() {
            reaper::adopt(Arc::clone(&self.handle.life));
        }
        // Whoever is done with one process will soon start the next.
        replenish();
    }
}

impl<T> AsFd for Child<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

impl<T> AsRef<Handle> for Child<T> {
    fn as_ref(&self) -> &Handle {
        &self.handle
    }
}

impl<T> fmt::Debug for Child<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("daemon", &self.is_daemon())
            .finish_non_exhaustive()
    }
}
