//! This process and its parent, as this process sees them.

use crate::{
    error::{Error, Result},
    start::{self, StartMethod},
    sys::{fd::BorrowedFd, own, wait},
};
use std::{
    io, process,
    time::{Duration, Instant},
};

/// This process, as [`current`] returns it.
#[derive(Clone, Copy, Debug)]
pub struct Current(&'static start::Identity);

/// Returns this process: its id, its name, and how it was started.
///
/// The first process of a program is called `main` and is not a daemon.
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

    /// Returns whether this process is a daemon. A daemon may not start processes, unless its
    /// settings allow it, as those of a worker of a pool do.
    #[must_use]
    #[doc(alias = "daemon")]
    pub fn is_daemon(&self) -> bool {
        self.0.bond.is_daemon()
    }

    /// Returns how this process was started, or `None` if this crate did not start it.
    #[must_use]
    pub fn start_method(&self) -> Option<StartMethod> {
        self.0.start_method
    }

    /// Returns which worker of a pool this process is, or `None` if it is no worker.
    #[must_use]
    pub fn worker(&self) -> Option<Worker> {
        start::seat().map(Worker)
    }
}

/// The place of this process in a pool, as [`Current::worker`] returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worker(start::Seat);

impl Worker {
    /// Returns the index of this worker. A worker that takes the place of another one has its
    /// index, and no two workers have the same at one time. It is below [`count`](Self::count),
    /// unless the number of workers was raised after this one was started.
    #[must_use]
    pub fn index(&self) -> usize {
        self.0.index
    }

    /// Returns how many workers the pool had at most when this one was started.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.count
    }

    /// Returns the number of the job that runs, as `Job::id` does in the process that has submitted
    /// it. Returns `None` before the first job: in the initializer.
    #[must_use]
    pub fn job(&self) -> Option<u64> {
        start::job()
    }

    /// Returns a seed for random numbers in the job that runs, if the pool was given a `seed`.
    ///
    /// It depends on the seed of the pool and on the number of the job only. So a program that
    /// submits the same jobs in the same order has the same random numbers in them, whichever
    /// workers run them.
    #[must_use]
    pub fn seed(&self) -> Option<u64> {
        Some(mix(self.0.seed?, start::job()?))
    }

    /// Asks the pool to let this worker end after its task, and to start another one in its place.
    ///
    /// Use it if the task finds out that the process is of no more use: a library has broken its
    /// state, or a connection is lost.
    pub fn replace(&self) {
        start::want_rest();
    }
}

/// Returns a number that depends on both in all bits (the step and the finish of `SplitMix64`).
fn mix(seed: u64, number: u64) -> u64 {
    let step = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut mixed = seed.wrapping_add(step);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// The parent of this process, as [`parent`] returns it.
///
/// It does not implement [`AsFd`](std::os::fd::AsFd): there is no pidfd if the parent was gone when
/// this process began. See [`pidfd`](Self::pidfd).
#[derive(Clone, Copy, Debug)]
pub struct Parent(&'static start::Parent);

/// Returns the process that started this one, or `None` if this crate did not start this process.
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
    /// Returns the id of the parent, even after the parent has ended.
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
                .unwrap_or_else(|_| own::parent_id() != self.0.id),
            None => false,
        }
    }

    /// Waits for the parent to end. Blocks without a time limit.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses to wait.
    pub fn wait(&self) -> Result<()> {
        self.wait_until(None).map(drop)
    }

    /// Waits for the parent to end, at most for `timeout`, and returns whether it has ended.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses to wait.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<bool> {
        self.wait_until(wait::deadline(timeout))
    }

    /// Returns a descriptor that becomes readable when the parent ends, or `None` if the parent was
    /// gone before a descriptor was first requested.
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
