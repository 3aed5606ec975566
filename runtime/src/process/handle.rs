//! A handle to a child, without its type.

use super::life::Life;
use crate::{
    error::{Error, Result},
    start::StartMethod,
    sys::{
        family::{self, Family},
        wait,
    },
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    process::ExitStatus,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long what was killed may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// A handle to a child: it can be cloned and sent to other threads, and can signal while another thread joins.
///
/// It refers to one process, even after that has ended and its id was given to another one. Dropping it does nothing. Its
/// [`AsFd`] is a [pidfd](https://man7.org/linux/man-pages/man2/pidfd_open.2.html), which becomes readable when the process ends.
///
/// # Examples
///
/// ```
/// use procession::{JoinErrorKind, process};
/// use std::{thread, time::Duration};
///
/// #[process]
/// fn sleepy() {
///     thread::sleep(Duration::from_secs(60));
/// }
///
/// let child = sleepy::spawn()?;
/// let handle = child.handle();
/// let joiner = thread::spawn(|| child.join().unwrap_err().kind());
/// handle.kill()?;
/// assert_eq!(joiner.join().unwrap(), JoinErrorKind::Killed);
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) life: Arc<Life>,
}

impl Handle {
    pub(super) fn new(life: Arc<Life>) -> Self {
        Self { life }
    }

    /// Returns the id of the process.
    #[must_use]
    #[doc(alias = "pid")]
    pub fn id(&self) -> u32 {
        self.life.id()
    }

    /// Returns the name of the process.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.life.name
    }

    /// Returns whether the process is a daemon, which does not outlive this process.
    #[must_use]
    #[doc(alias = "daemon")]
    pub fn is_daemon(&self) -> bool {
        self.life.daemon
    }

    /// Returns how the process was started.
    #[must_use]
    pub fn start_method(&self) -> StartMethod {
        self.life.start_method
    }

    /// Returns whether the process still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.life.is_alive()
    }

    /// Asks the process to end, with SIGTERM, which it may handle or ignore. Does nothing if it has ended.
    ///
    /// What the process has started lives on. A lock that it holds is poisoned for the next one.
    ///
    /// # Errors
    ///
    /// When the process may not be signalled, having changed its user.
    pub fn terminate(&self) -> Result<()> {
        self.signal(libc::SIGTERM)
    }

    /// Ends the process, with SIGKILL. Does nothing if it has ended.
    ///
    /// It runs no clean-up of its own, and what it has started lives on, but for its daemons: see [`kill_tree`](Self::kill_tree).
    ///
    /// # Errors
    ///
    /// When the process may not be signalled, having changed its user.
    pub fn kill(&self) -> Result<()> {
        self.signal(libc::SIGKILL)
    }

    /// Ends the process and all of its descendants, with SIGKILL, and returns how the process ended.
    ///
    /// They are stopped first, so that they start no others meanwhile. A descendant whose own parent has ended before is no descendant
    /// any more, as far as the system shows: with [`Builder::subreaper`](crate::Builder::subreaper) the process keeps those too, and
    /// then none is left when this returns. A descendant that `/proc` hides from this process (its mount option `hidepid`) is not
    /// found. If the process itself has ended already, its descendants are not known any more, and live on.
    ///
    /// # Errors
    ///
    /// When a descendant may not be signalled, having changed its user; when they, or the process, have not ended after ten seconds,
    /// as one that waits in the kernel for a broken disk; when this process has not enough descriptors, one for each descendant; when
    /// `/proc` is not mounted, or shows another pid namespace. Those that have not been killed by then go on: nothing stays stopped
    /// that was not stopped before.
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::process;
    ///
    /// #[process]
    /// fn busy() {
    ///     loop {
    ///         std::hint::spin_loop();
    ///     }
    /// }
    ///
    /// #[process]
    /// fn chief() {
    ///     busy::spawn().unwrap().join().unwrap();
    /// }
    ///
    /// let child = chief::spawn()?;
    /// child.handle().kill_tree()?;
    /// assert!(!child.is_alive());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn kill_tree(&self) -> Result<ExitStatus> {
        if !self.is_alive() {
            return self.wait();
        }
        let deadline = wait::deadline(PATIENCE);
        let cannot = |source| self.refused("has descendants that cannot be ended", source);
        family::check_proc().map_err(cannot)?;
        let was_stopped = family::is_stopped(self.id());
        // It starts nothing more, and is there for orphans to come to, until nobody else is left.
        self.life
            .signal(libc::SIGSTOP)
            .map_err(|source| self.refused("cannot be stopped", source))?;
        let mut family = Family::default();
        if let Err(source) = self.kill_descendants(&mut family, deadline) {
            family.resume();
            if !was_stopped {
                // It was signalled before, so it can be again, unless it has ended.
                let _ = self.life.signal(libc::SIGCONT);
            }
            return Err(cannot(source));
        }
        self.kill()?;
        self.end_by(deadline)
    }

    fn kill_descendants(&self, family: &mut Family, deadline: Option<Instant>) -> io::Result<()> {
        let in_time = || match deadline {
            Some(deadline) if deadline <= Instant::now() => Err(io::ErrorKind::TimedOut),
            _ => Ok(()),
        };
        while self.is_alive() {
            // Those that are stopped start no more, so at some time there are no new ones.
            loop {
                in_time()?;
                let new = family.grow(self.id(), || self.is_alive())?;
                if new.is_empty() {
                    break;
                }
                for id in new {
                    family.signal(id, libc::SIGSTOP)?;
                }
            }
            if family.is_empty() && !family::has_living_child(self.id()) {
                break;
            }
            family.signal_all(libc::SIGKILL)?;
            for pidfd in family.pidfds() {
                if !wait::readable(pidfd, deadline)? {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
        }
        Ok(())
    }

    /// Sends a signal ([signal(7)](https://man7.org/linux/man-pages/man7/signal.7.html)) by its number. Does nothing if the process
    /// has ended.
    ///
    /// # Errors
    ///
    /// When there is no such signal, or the process may not be signalled, having changed its user.
    #[doc(alias = "send_signal")]
    pub fn signal(&self, signal: i32) -> Result<()> {
        self.life
            .signal(signal)
            .map_err(|source| self.refused(format!("cannot be sent signal {signal}"), source))
    }

    /// Asks the process to end, and ends it if it has not after `grace`: SIGTERM, then SIGKILL. Returns how it ended.
    ///
    /// # Errors
    ///
    /// When the process may not be signalled; when it has not ended ten seconds after SIGKILL, as one that waits in the kernel for
    /// a broken disk, or that a debugger holds; when somebody else has reaped it, see [`wait`](Self::wait).
    pub fn shutdown(&self, grace: Duration) -> Result<ExitStatus> {
        self.terminate()?;
        if let Some(status) = self.wait_until(wait::deadline(grace))? {
            return Ok(status);
        }
        self.kill()?;
        self.end_by(wait::deadline(PATIENCE))
    }

    /// Waits for a process that was killed.
    fn end_by(&self, deadline: Option<Instant>) -> Result<ExitStatus> {
        let late = || self.refused("does not end", io::ErrorKind::TimedOut.into());
        self.wait_until(deadline)?.ok_or_else(late)
    }

    /// Waits for the process to end, for as long as that takes, and returns how it did. The value stays with the
    /// [`Child`](super::Child).
    ///
    /// # Errors
    ///
    /// When somebody else has reaped the process, and the kernel does not tell how it ended, as it does from Linux 6.15 on: a
    /// `waitpid` for any child did, or the kernel itself, where SIGCHLD is ignored.
    pub fn wait(&self) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.wait_until(None)? {
                return Ok(status);
            }
        }
    }

    fn wait_until(&self, deadline: Option<Instant>) -> Result<Option<ExitStatus>> {
        match self.life.wait(deadline) {
            Ok(None) => Ok(None),
            Ok(Some(Some(status))) => Ok(Some(status)),
            Ok(Some(None)) => Err(self.refused(
                "was reaped by somebody else",
                io::Error::from_raw_os_error(libc::ECHILD),
            )),
            Err(source) => Err(self.refused("cannot be waited for", source)),
        }
    }

    fn refused(&self, what: impl std::fmt::Display, source: io::Error) -> Error {
        Error::os(
            format!("process `{}` (pid {}) {what}", self.name(), self.id()),
            source,
        )
    }
}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.life.as_fd()
    }
}

impl AsRef<Self> for Handle {
    fn as_ref(&self) -> &Self {
        self
    }
}
