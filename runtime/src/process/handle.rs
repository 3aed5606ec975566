//! A handle to a child, without the type of its value.

use super::life::Life;
use crate::{
    error::{Error, Result},
    start::StartMethod,
    sys::{
        errno,
        family::{self, Family},
        fd::{AsFd, BorrowedFd},
        signal, wait,
    },
};
use std::{
    io,
    process::ExitStatus,
    sync::Arc,
    time::{Duration, Instant},
};

/// The longest time that killed processes may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// A handle to a child, without its value. It can be cloned and sent to other threads, and can
/// signal the child while another thread joins it.
///
/// It always refers to the same process, even if that has ended and another process has got its id.
/// Dropping it does nothing. Its [`AsFd`] is a
/// [pidfd](https://man7.org/linux/man-pages/man2/pidfd_open.2.html), which becomes readable when
/// the process ends.
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

    /// Returns whether the process is a daemon. A daemon does not outlive this process.
    #[must_use]
    #[doc(alias = "daemon")]
    pub fn is_daemon(&self) -> bool {
        self.life.bond.is_daemon()
    }

    /// Returns how the process was started.
    #[must_use]
    pub fn start_method(&self) -> StartMethod {
        self.life.start_method
    }

    /// Returns whether the process still runs. If it has ended, this reaps it.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.life.is_alive()
    }

    /// Sends SIGTERM, which asks the process to end. The process can handle or ignore the signal.
    /// Does nothing if the process has ended.
    ///
    /// The children of the process live on. A lock that it holds is poisoned for its next holder.
    ///
    /// # Errors
    ///
    /// Fails with `EPERM` if the process has changed its user, so that this process may not signal
    /// it.
    pub fn terminate(&self) -> Result<()> {
        self.signal(signal::SIGTERM)
    }

    /// Sends SIGKILL, which ends the process at once. Does nothing if the process has ended.
    ///
    /// The process does no cleanup of its own. Its daemons end with it, but its other children live
    /// on: see [`kill_tree`](Self::kill_tree).
    ///
    /// # Errors
    ///
    /// Fails with `EPERM` if the process has changed its user, so that this process may not signal
    /// it.
    pub fn kill(&self) -> Result<()> {
        self.signal(signal::SIGKILL)
    }

    /// Kills the process and all of its descendants with SIGKILL, and returns how the process
    /// ended.
    ///
    /// All of them are stopped first, so that they start no others meanwhile. Two kinds of
    /// descendants are not found:
    ///
    /// - A descendant whose own parent has ended: the system does not show that it is one. With
    ///   [`Builder::subreaper`](crate::Builder::subreaper), the process becomes the parent of such
    ///   descendants, and then none is left when this returns.
    /// - A descendant that `/proc` hides from this process (mount option `hidepid`).
    ///
    /// If the process itself has ended already, its descendants are not known any more and live on.
    ///
    /// # Errors
    ///
    /// Fails in these cases:
    ///
    /// - A descendant has changed its user, so that this process may not signal it.
    /// - The process or a descendant has not ended after ten seconds. It may wait in the kernel for
    ///   a broken disk.
    /// - This process has not enough free descriptors. It needs one for each descendant.
    /// - `/proc` is not mounted, or shows another PID namespace.
    ///
    /// Processes that have not been killed by then are continued, unless they were stopped before
    /// the call.
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
        // A stopped process starts nothing more. It is killed last, because orphans become its
        // children under `Builder::subreaper`.
        self.life
            .signal(signal::SIGSTOP)
            .map_err(|source| self.refused("cannot be stopped", source))?;
        let mut family = Family::default();
        if let Err(source) = self.kill_descendants(&mut family, deadline) {
            family.resume();
            if !was_stopped {
                // The earlier signal was allowed, so this one can fail only if the process has
                // ended.
                let _ = self.life.signal(signal::SIGCONT);
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
            // Stopped processes start no others, so this loop ends.
            loop {
                in_time()?;
                let new = family.grow(self.id(), || self.is_alive())?;
                if new.is_empty() {
                    break;
                }
                for id in new {
                    family.signal(id, signal::SIGSTOP)?;
                }
            }
            if family.is_empty() && !family::has_living_child(self.id()) {
                break;
            }
            family.signal_all(signal::SIGKILL)?;
            for pidfd in family.pidfds() {
                if !wait::readable(pidfd, deadline)? {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
        }
        Ok(())
    }

    /// Sends a signal by its number
    /// ([signal(7)](https://man7.org/linux/man-pages/man7/signal.7.html)). Does nothing if the
    /// process has ended.
    ///
    /// # Errors
    ///
    /// Fails if there is no such signal. Fails with `EPERM` if the process has changed its user, so
    /// that this process may not signal it.
    #[doc(alias = "send_signal")]
    pub fn signal(&self, signal: i32) -> Result<()> {
        self.life
            .signal(signal)
            .map_err(|source| self.refused(format!("cannot be sent signal {signal}"), source))
    }

    /// Sends SIGTERM, then SIGKILL if the process still runs after `grace`. Returns how the process
    /// ended. Blocks for `grace` and ten seconds at most.
    ///
    /// # Errors
    ///
    /// Fails in these cases:
    ///
    /// - The process has changed its user, so that this process may not signal it.
    /// - The process has not ended ten seconds after SIGKILL. It may wait in the kernel for a
    ///   broken disk, or a debugger may hold it.
    /// - Somebody else has reaped the process: see [`wait`](Self::wait).
    pub fn shutdown(&self, grace: Duration) -> Result<ExitStatus> {
        self.terminate()?;
        if let Some(status) = self.wait_until(wait::deadline(grace))? {
            return Ok(status);
        }
        self.kill()?;
        self.end_by(wait::deadline(PATIENCE))
    }

    /// Waits for a killed process until the deadline.
    fn end_by(&self, deadline: Option<Instant>) -> Result<ExitStatus> {
        let late = || self.refused("does not end", io::ErrorKind::TimedOut.into());
        self.wait_until(deadline)?.ok_or_else(late)
    }

    /// Waits for the process to end and returns how it ended. Blocks without a time limit. The
    /// value stays with the [`Child`](super::Child).
    ///
    /// # Errors
    ///
    /// Fails with `ECHILD` if somebody else has reaped the process: a `waitpid` for any child, or
    /// the kernel itself if SIGCHLD is ignored. Since Linux 6.15 the kernel still tells how such a
    /// process ended, and then this does not fail.
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
                io::Error::from_raw_os_error(errno::ECHILD),
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

crate::sys::raw::as_raw_fd!([] Handle);

impl AsRef<Self> for Handle {
    fn as_ref(&self) -> &Self {
        self
    }
}
