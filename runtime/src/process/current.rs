//! This process and its parent, as they are seen from here.

use crate::{
    error::{Error, Result},
    start::{self, StartMethod},
    sys::wait,
};
use std::{
    io,
    os::{fd::BorrowedFd, unix::process::parent_id},
    process,
    time::{Duration, Instant},
};

/// This process: what [`current`] returns.
#[derive(Clone, Copy, Debug)]
pub struct Current(&'static start::Identity);

/// Returns who this process is.
///
/// The first process of a program is called `main` and is no daemon.
///
/// # Examples
///
/// ```
/// use procession::{Builder, current, process};
///
/// #[process]
/// fn whoami() -> String {
///     current().name().to_owned()
/// }
///
/// let child = Builder::new().name("worker").spawn(whoami::new())?;
/// assert_eq!(child.join()?, "worker");
/// assert_eq!(current().name(), "main");
/// # Ok::<(), procession::Error>(())
/// ```
#[must_use]
#[doc(alias = "current_process")]
pub fn current() -> Current {
    Current(start::current())
}

impl Current {
    /// Returns the id of this process.
    #[must_use]
    #[doc(alias = "pid")]
    pub fn id(&self) -> u32 {
        process::id()
    }

    /// Returns the name of this process.
    #[must_use]
    pub fn name(&self) -> &'static str {
        &self.0.name
    }

    /// Returns whether this process is a daemon, which may not start processes.
    #[must_use]
    #[doc(alias = "daemon")]
    pub fn is_daemon(&self) -> bool {
        self.0.daemon
    }

    /// Returns how this process was started; none if it was not started by this crate.
    #[must_use]
    pub fn start_method(&self) -> Option<StartMethod> {
        self.0.start_method
    }
}

/// The parent of this process: what [`parent`] returns.
///
/// Its [`AsFd`](std::os::fd::AsFd) would have to be a pidfd, which there is none of if the parent was gone when this process began: see
/// [`pidfd`](Self::pidfd).
#[derive(Clone, Copy, Debug)]
pub struct Parent(&'static start::Parent);

/// Returns the process that started this one; none if this one was not started by this crate.
///
/// # Examples
///
/// ```
/// use procession::{parent, process};
///
/// #[process]
/// fn whose() -> Option<u32> {
///     parent().map(|parent| parent.id())
/// }
///
/// assert_eq!(whose::spawn()?.join()?, Some(std::process::id()));
/// assert!(parent().is_none());
/// # Ok::<(), procession::Error>(())
/// ```
#[must_use]
#[doc(alias = "parent_process")]
pub fn parent() -> Option<Parent> {
    start::current().parent.as_ref().map(Parent)
}

impl Parent {
    /// Returns the id that the parent has or had.
    #[must_use]
    #[doc(alias = "pid")]
    pub fn id(&self) -> u32 {
        self.0.id
    }

    /// Returns the name of the parent.
    #[must_use]
    pub fn name(&self) -> &'static str {
        &self.0.name
    }

    /// Returns whether the parent still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        match self.pidfd() {
            Some(pidfd) => !wait::readable(pidfd, Some(Instant::now()))
                .unwrap_or_else(|_| parent_id() != self.0.id),
            None => false,
        }
    }

    /// Waits for the parent to end, for as long as that takes.
    ///
    /// # Errors
    ///
    /// When the system refuses to wait.
    pub fn wait(&self) -> Result<()> {
        self.wait_until(None).map(drop)
    }

    /// Waits for the parent to end, but no longer than `timeout`; returns whether it has.
    ///
    /// # Errors
    ///
    /// When the system refuses to wait.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<bool> {
        self.wait_until(wait::deadline(timeout))
    }

    /// Returns a descriptor that becomes readable when the parent ends; none if it was gone before one was first asked for.
    #[must_use]
    #[doc(alias = "sentinel")]
    pub fn pidfd(&self) -> Option<BorrowedFd<'static>> {
        self.0.pidfd()
    }

    fn wait_until(self, deadline: Option<Instant>) -> Result<bool> {
        let Some(pidfd) = self.pidfd() else {
            return Ok(true);
        };
        wait::readable(pidfd, deadline).map_err(|source: io::Error| {
            Error::os(
                format!(
                    "the parent `{}` (pid {}) cannot be waited for",
                    self.name(),
                    self.id()
                ),
                source,
            )
        })
    }
}
