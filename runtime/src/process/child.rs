//! A running process, and the value that it will hand back.

use super::{Handle, JoinError, join_error::Cause, life::End, output, reaper};
use crate::{
    error::{Error, Result},
    start::{LAST_BREATH, Panic, Replies, Reply, StartMethod, Streams, replenish},
    sys::{
        errno,
        fd::{AsFd, BorrowedFd, OwnedFd},
        signal, wait,
    },
    wire::{Incoming, Line},
};
use std::{
    fmt,
    io::{self, ErrorKind},
    process::{ChildStderr, ChildStdin, ChildStdout, ExitStatus, Output},
    sync::Arc,
    time::{Duration, Instant},
};

/// A running process that hands back a `T` when it ends.
///
/// Dropping it gives up the value, but the process runs on and is reaped when it ends. When this
/// process ends normally, it still waits for the child, or terminates it if it is a daemon.
/// [`detach`](Self::detach) prevents that. With
/// [`Builder::kill_on_drop`](crate::Builder::kill_on_drop), the drop kills the process and waits
/// for its end.
///
/// Its [`AsFd`] is a [pidfd](https://man7.org/linux/man-pages/man2/pidfd_open.2.html), which
/// becomes readable when the process ends. Python calls it the sentinel.
///
/// # In tests
///
/// A test that fails drops its children, and the test program waits for them at its end. So a child
/// that never ends keeps the whole test run from ending. There are three ways to prevent that:
///
/// - Start such a child with [`kill_on_drop`](crate::Builder::kill_on_drop).
/// - Start it as a [`daemon`](crate::Builder::daemon), which ends with the test program.
/// - Limit the wait for all children with [`set_exit_grace`](crate::set_exit_grace).
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
    /// The value to come. `None` once it has been returned.
    awaited: Option<Awaited<T>>,
    kill_on_drop: bool,
}

/// The time that a wait for a value spins before it sleeps: about as long as it takes to sleep and
/// be woken.
const SPIN: Duration = Duration::from_micros(20);

/// Whether a value of this type may be larger than the buffer of a socket.
const fn may_be_large<T>() -> bool {
    std::mem::needs_drop::<T>() || size_of::<T>() > 4096
}

/// The most replies that are read from one process.
const MOST_WORDS: usize = 8;

/// What a process reported about its end.
enum Words<T> {
    /// This process has no descriptor left for those that come with the reply. The reply is still
    /// in the socket.
    NoRoom(io::Error),
    /// As `NoRoom`, but the reply is lost: another thread took the last descriptor during the
    /// receive.
    Unread(io::Error),
    Returned(T),
    Undecodable(Error),
    Unsendable(Error),
    Panicked(Panic),
    OutOfMemory,
    Nothing,
}

/// Where the value will come from.
struct Awaited<T> {
    socket: OwnedFd,
    replies: Replies,
    decode: Decode<T>,
}

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
            awaited: Some(Awaited {
                socket,
                replies: Replies::default(),
                decode,
            }),
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

    /// Returns whether the process is a daemon. A daemon does not outlive this process.
    #[must_use]
    pub fn is_daemon(&self) -> bool {
        self.handle.is_daemon()
    }

    /// Returns how the process was started. This can differ from the requested start method, if
    /// that one is not available.
    #[must_use]
    pub fn start_method(&self) -> StartMethod {
        self.handle.start_method()
    }

    /// Returns whether the process still runs. If it has ended, this reaps it.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.handle.is_alive()
    }

    /// Returns a handle without the type `T`. It can signal the process while another thread joins
    /// it.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Waits for the process to end and returns its value. Blocks without a time limit.
    ///
    /// If [`stdin`](Self::stdin) is still here, it is closed first, so that a process that reads
    /// its standard input to the end can finish.
    ///
    /// # Errors
    ///
    /// Fails if the process ended without a value: [`JoinError`] says why. Fails with
    /// [`JoinErrorKind::Taken`](crate::JoinErrorKind::Taken) if the value has been returned
    /// already.
    pub fn join(mut self) -> Result<T, JoinError> {
        self.stdin = None;
        if const { may_be_large::<T>() } {
            // The child may be unable to leave its value anywhere, and then it lives until the
            // value is taken. So take the value before waiting for the end.
            let value = self.value()?;
            // The value is here, so how the process ended does not matter.
            let _ = self.handle.life.wait(None);
            return Ok(value);
        }
        loop {
            if let Some(value) = self.join_until(None)? {
                return Ok(value);
            }
        }
    }

    /// Waits for the value, but not for the process to end, as [`join`](Self::join) does. Blocks
    /// without a time limit.
    ///
    /// If [`stdin`](Self::stdin) is still here, it is closed first. After the process has sent its
    /// value, it may still wait for children of its own, or free memory. This `Child` is then a
    /// process without a value: wait for it, signal it or drop it.
    ///
    /// # Errors
    ///
    /// Fails if the process ended without a value: [`JoinError`] says why. Fails with
    /// [`JoinErrorKind::Taken`](crate::JoinErrorKind::Taken) if the value has been returned
    /// already.
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
            let source = io::Error::from_raw_os_error(errno::ECHILD);
            return Err(self.ended(None, Cause::Os(source)));
        }
        let Some(mut awaited) = self.awaited.take() else {
            return Err(self.ended(None, Cause::Taken));
        };
        wait::spin(awaited.socket.as_fd(), SPIN);
        let words = self.last_words(&mut awaited, self.handle.life.overdue());
        match words {
            Words::Returned(value) => return Ok(value),
            Words::NoRoom(source) => {
                self.awaited = Some(awaited);
                return Err(self.ended(None, Cause::Os(source)));
            }
            _ => {}
        }
        // Closes the socket: a process that still writes to it gets an error and does not block.
        drop(awaited);
        // The error also says how the process ended.
        loop {
            match self.handle.life.wait(None) {
                Ok(Some(end)) => return self.conclude(words, end),
                Ok(None) => {}
                Err(source) => return Err(self.ended(None, Cause::Os(source))),
            }
        }
    }

    /// Returns the value if the process has ended, or `None` while it runs. Does not block.
    ///
    /// A piped standard input stays open, as for [`join_timeout`](Self::join_timeout).
    ///
    /// # Errors
    ///
    /// Fails if the process ended without a value: [`JoinError`] says why. Fails with
    /// [`JoinErrorKind::Taken`](crate::JoinErrorKind::Taken) if the value has been returned
    /// already.
    pub fn try_join(&mut self) -> Result<Option<T>, JoinError> {
        self.join_until(Some(Instant::now()))
    }

    /// Waits for the process to end, at most for `timeout`, and returns its value, or `None` if the
    /// process still runs.
    ///
    /// The timeout does not affect the process: you can wait for it again, or kill it. A piped
    /// standard input stays open: a process that reads to its end does not end before you drop
    /// [`stdin`](Self::stdin).
    ///
    /// # Errors
    ///
    /// Fails if the process ended without a value: [`JoinError`] says why. Fails with
    /// [`JoinErrorKind::Taken`](crate::JoinErrorKind::Taken) if the value has been returned
    /// already.
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

    /// Waits for the process to end and returns how it ended. Blocks without a time limit. The
    /// value stays here and can be joined later.
    ///
    /// If [`stdin`](Self::stdin) is still here, it is closed first.
    ///
    /// # Errors
    ///
    /// Fails with `ECHILD` if somebody else has reaped the process: see [`Handle::wait`].
    #[doc(alias = "exitcode")]
    pub fn wait(&mut self) -> Result<ExitStatus> {
        self.stdin = None;
        self.handle.wait()
    }

    /// Reads all that the process writes to its standard output and standard error, and waits for
    /// its end. Blocks without a time limit. The value stays here and can be joined later.
    ///
    /// The streams must be [piped](crate::Stdio::piped): the output of another stream is empty. If
    /// [`stdin`](Self::stdin) is still here, it is closed first. A descendant of the process that
    /// has its streams keeps this call waiting, as it does with [`std::process::Child`].
    ///
    /// # Errors
    ///
    /// Fails as [`wait`](Self::wait) does, or if the system refuses to read.
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::{Builder, Stdio, process};
    ///
    /// #[process]
    /// fn work() -> u32 {
    ///     println!("at work");
    ///     eprintln!("nearly done");
    ///     7
    /// }
    ///
    /// let builder = Builder::new().stdout(Stdio::piped()).stderr(Stdio::piped());
    /// let mut child = builder.spawn(work::new())?;
    /// let output = child.wait_with_output()?;
    /// assert!(output.status.success());
    /// assert_eq!((&*output.stdout, &*output.stderr), (&b"at work\n"[..], &b"nearly done\n"[..]));
    /// assert_eq!(child.join()?, 7);
    /// # Ok::<(), procession::Error>(())
    /// ```
    #[doc(alias = "communicate")]
    pub fn wait_with_output(&mut self) -> Result<Output> {
        self.stdin = None;
        let (stdout, stderr) = output::read_to_ends(self.stdout.take(), self.stderr.take())
            .map_err(|source| Error::os("its output cannot be read", source))?;
        let status = self.handle.wait()?;
        Ok(Output {
            status,
            stdout,
            stderr,
        })
    }

    /// Sends SIGTERM, which asks the process to end: see [`Handle::terminate`].
    ///
    /// # Errors
    ///
    /// Fails with `EPERM` if the process has changed its user, so that this process may not signal
    /// it.
    pub fn terminate(&self) -> Result<()> {
        self.handle.terminate()
    }

    /// Sends SIGKILL, which ends the process: see [`Handle::kill`].
    ///
    /// # Errors
    ///
    /// Fails with `EPERM` if the process has changed its user, so that this process may not signal
    /// it.
    pub fn kill(&self) -> Result<()> {
        self.handle.kill()
    }

    /// Kills the process and all of its descendants: see [`Handle::kill_tree`].
    ///
    /// # Errors
    ///
    /// Fails if one of these processes cannot be killed.
    pub fn kill_tree(&mut self) -> Result<ExitStatus> {
        self.handle.kill_tree()
    }

    /// Sends a signal by its number: see [`Handle::signal`].
    ///
    /// # Errors
    ///
    /// Fails if there is no such signal. Fails with `EPERM` if the process has changed its user, so
    /// that this process may not signal it.
    pub fn signal(&self, signal: i32) -> Result<()> {
        self.handle.signal(signal)
    }

    /// Sends SIGTERM, then SIGKILL if the process still runs after `grace`: see
    /// [`Handle::shutdown`].
    ///
    /// # Errors
    ///
    /// Fails if this process may not signal the process, if the process does not end, or if
    /// somebody else has reaped it: see [`Handle::shutdown`].
    pub fn shutdown(&mut self, grace: Duration) -> Result<ExitStatus> {
        self.stdin = None;
        self.handle.shutdown(grace)
    }

    /// Lets the process run on by itself. This process does not wait for it at its own end, and
    /// [`children`](crate::children) does not list it any more. The process is reaped if it ends
    /// before this process does.
    ///
    /// A detached daemon still does not outlive this process.
    pub fn detach(mut self) {
        self.kill_on_drop = false;
        self.handle.life.detach();
        // The drop of `self` hands the process to the reaper.
    }

    fn join_until(&mut self, deadline: Option<Instant>) -> Result<Option<T>, JoinError> {
        if self.awaited.is_none() {
            return Err(self.ended(None, Cause::Taken));
        }
        let end = match self.handle.life.wait(deadline) {
            Ok(Some(end)) => end,
            Ok(None) => return Ok(None),
            Err(source) => return Err(self.ended(None, Cause::Os(source))),
        };
        let Some(mut awaited) = self.awaited.take() else {
            return Ok(None);
        };
        // The process has ended, so everything that it sent is in the socket: no deadline is
        // needed.
        let words = self.last_words(&mut awaited, None);
        if matches!(words, Words::NoRoom(_)) {
            self.awaited = Some(awaited);
        }
        self.conclude(words, end).map(Some)
    }

    /// Returns the value, or the error that follows from the last replies and from how the process
    /// ended.
    fn conclude(&self, words: Words<T>, end: End) -> Result<T, JoinError> {
        let cause = match words {
            Words::Returned(value) => return Ok(value),
            Words::Undecodable(error) => Cause::Undecodable(error),
            Words::Unsendable(error) => Cause::Unsendable(error),
            Words::Panicked(panic) => Cause::Panicked(panic),
            Words::OutOfMemory => Cause::OutOfMemory(self.handle.life.bounds.memory),
            Words::NoRoom(source) | Words::Unread(source) => Cause::Os(source),
            Words::Nothing => self.cause_of(end),
        };
        Err(self.ended(end, cause))
    }

    /// Reads the replies of the process: its value, or why there is none. Gives up at `until`.
    fn last_words(&self, awaited: &mut Awaited<T>, until: Option<Instant>) -> Words<T> {
        let Awaited {
            socket,
            replies,
            decode,
        } = awaited;
        let line = Line {
            peer: Some(self.handle.as_fd()),
            until,
            ..Line::on(socket.as_fd())
        };
        let mut words = Words::Nothing;
        // A process sends few replies. A copy of it that a bare `fork` made could send replies for
        // ever.
        for _ in 0..MOST_WORDS {
            match replies.next(&line) {
                Ok(Some(Reply::Returned(mut value))) => {
                    return decode(&mut value).map_or_else(Words::Undecodable, Words::Returned);
                }
                Ok(Some(Reply::Unsendable(failure))) => return Words::Unsendable(failure.into()),
                Ok(Some(Reply::NoRoom(source))) => return Words::NoRoom(source),
                Ok(Some(Reply::Panicked(panic))) => words = Words::Panicked(panic),
                Ok(Some(Reply::Backtrace(backtrace))) => {
                    if let Words::Panicked(panic) = words {
                        words = Words::Panicked(panic.with_backtrace(backtrace));
                    }
                }
                // A panic that was reported takes precedence.
                Ok(Some(Reply::OutOfMemory)) if matches!(words, Words::Nothing) => {
                    words = Words::OutOfMemory;
                }
                Ok(Some(
                    Reply::OutOfMemory | Reply::Arrived | Reply::Reached | Reply::Failed(_),
                )) => {}
                // The process was killed in the middle of a reply, or it used up its time.
                Ok(None) => break,
                Err(error)
                    if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::TimedOut) =>
                {
                    break;
                }
                Err(source)
                    if matches!(source.raw_os_error(), Some(errno::EMFILE | errno::ENFILE)) =>
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
        let signal = end.and_then(signal::that_ended);
        match (&life.timeout, life.bounds.cpu_time, signal) {
            (Some(timeout), _, _)
                if (end.is_none() || signal == Some(signal::SIGKILL)) && timeout.was_used_up() =>
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

    /// Whether the kernel sent this signal because the process used that much CPU time.
    fn has_used_up(&self, limit: Duration, signal: i32) -> bool {
        let used = self.handle.life.usage().map(|usage| usage.cpu_time);
        // The kernel checks the limit against a time that it counts in whole ticks. For a process
        // that often sleeps for part of a tick, this time is longer than the exact time that
        // `usage` reports at the end. But if the exact time is less than half of the limit, the
        // limit was not the cause.
        let has_used = |time: Duration| used.is_some_and(|used| used >= time / 2);
        match signal {
            signal::SIGXCPU => has_used(limit),
            signal::SIGKILL => has_used(limit.saturating_add(Duration::from_secs(1))),
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
            // A process that has changed its user cannot be killed from here. It is left to end by
            // itself.
            let killed = self.handle.life.signal(signal::SIGKILL).is_ok();
            let patience = wait::deadline(if killed { LAST_BREATH } else { Duration::ZERO });
            let _ = self.handle.life.wait(patience);
        }
        if self.handle.is_alive() {
            reaper::adopt(Arc::clone(&self.handle.life));
        }
        // A program that is done with one process will probably start another one soon.
        replenish();
    }
}

impl<T> AsFd for Child<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

crate::sys::raw::as_raw_fd!([T] Child<T>);

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
