//! A handle to a child, without its type.

use super::life::Life;
use crate::{
    error::{Error, Result},
    start::StartMethod,
    sys::{family, sentinel, wait},
};
use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd, BorrowedFd},
    process::ExitStatus,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a process that was killed may take to end.
const LAST_BREATH: Duration = Duration::from_secs(5);

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
    /// They are stopped first, so that they start no others meanwhile. A descendant whose own parent has ended before is one no more, as
    /// far as the system tells: started with [`Builder::subreaper`](crate::Builder::subreaper), the process keeps those too, and then
    /// none is left when this returns. If the process itself has ended already, its descendants are no longer known, and live on.
    ///
    /// # Errors
    ///
    /// When a descendant may not be signalled, having changed its user, or does not end within five seconds, as one that waits in the
    /// kernel for a broken disk; when this process has not enough descriptors, one for each descendant. The process itself is
    /// stopped then, or has ended.
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
        // It starts nothing more, and is there for orphans to come to, until nobody else is left.
        self.life
            .signal(libc::SIGSTOP)
            .map_err(|source| self.refused("cannot be stopped", source))?;
        self.kill_descendants()
            .map_err(|source| self.refused("has descendants that cannot be ended", source))?;
        self.kill()?;
        self.wait()
    }

    fn kill_descendants(&self) -> io::Result<()> {
        while self.is_alive() {
            let mut found = BTreeMap::new();
            loop {
                let mut new = family::living_descendants(self.id())?;
                new.retain(|(who, _)| !found.contains_key(who));
                if new.is_empty() {
                    break;
                }
                for (_, pidfd) in &new {
                    sentinel::signal(pidfd, libc::SIGSTOP)?;
                }
                found.extend(new);
            }
            if found.is_empty() {
                return Ok(());
            }
            for pidfd in found.values() {
                sentinel::signal(pidfd, libc::SIGKILL)?;
            }
            for pidfd in found.values() {
                if !wait::readable(pidfd.as_fd(), wait::deadline(LAST_BREATH))? {
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
    /// When the process may not be signalled, or somebody else has reaped it.
    pub fn shutdown(&self, grace: Duration) -> Result<ExitStatus> {
        self.terminate()?;
        if let Some(status) = self.wait_until(wait::deadline(grace))? {
            return Ok(status);
        }
        self.kill()?;
        self.wait()
    }

    /// Waits for the process to end, for as long as that takes, and returns how it did. The value stays with the
    /// [`Child`](super::Child).
    ///
    /// # Errors
    ///
    /// When somebody else has reaped the process: a `waitpid` for any child, or the kernel, where SIGCHLD is ignored.
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
