//! Handing jobs to a pool.

use super::{
    errand,
    handle::Pool,
    job::Job,
    jobs::{GroupId, Order},
    lane::LONGEST,
    schedule::Wish,
    shared::Awaited,
};
use crate::{
    call::{self, Call, Entry},
    channel::Packing,
    error::{Error, ErrorKind, Result},
    process::Process,
    sys::{errno, image},
    wire::{Incoming, Outgoing},
};
use std::{
    fmt, io,
    sync::Arc,
    time::{Duration, Instant},
};

/// Most encoded arguments have no more bytes than this.
const USUAL: usize = 64;

impl Pool {
    /// Hands a job to the pool. The arguments are encoded before this returns, so they may borrow.
    ///
    /// Blocks while the [backlog](super::PoolBuilder::backlog) is full. Of the arguments of
    /// `#[process]`, the `timeout` alone is applied, unless the pool or the job has another one.
    ///
    /// # Errors
    ///
    /// Fails in these cases:
    ///
    /// - An argument cannot be encoded.
    /// - The function is not in the executable.
    /// - The pool is closed.
    /// - This process is a copy, by a bare `fork`, of the process that has made the pool.
    #[doc(alias = "apply_async")]
    pub fn submit<P: Process>(&self, process: P) -> Result<Job<P::Output>> {
        self.job().submit(process)
    }

    /// Hands a job to the pool, unless the [backlog](super::PoolBuilder::backlog) is full. Does not
    /// block.
    ///
    /// # Errors
    ///
    /// Fails with [`TrySubmitError::Full`], which has the process, if the backlog is full. For the
    /// other errors see [`submit`](Self::submit).
    pub fn try_submit<P: Process>(&self, process: P) -> Result<Job<P::Output>, TrySubmitError<P>> {
        self.job().try_submit(process)
    }

    /// Returns the settings of a job to be submitted.
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::{JoinErrorKind, Pool, process};
    /// use std::time::Duration;
    ///
    /// #[process]
    /// fn hang() {
    ///     loop {
    ///         std::thread::park();
    ///     }
    /// }
    ///
    /// let pool = Pool::builder().workers(1).build()?;
    /// let job = pool.job().timeout(Duration::from_millis(20)).submit(hang::new())?;
    /// assert_eq!(job.join().unwrap_err().kind(), JoinErrorKind::TimedOut);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn job(&self) -> JobBuilder<'_> {
        JobBuilder {
            pool: self,
            wish: self.shared.config.wish,
        }
    }
}

/// The settings of a job, as [`Pool::job`] returns them.
#[derive(Clone, Copy, Debug)]
#[must_use = "a job begins when it is submitted"]
pub struct JobBuilder<'p> {
    pool: &'p Pool,
    wish: Wish,
}

impl JobBuilder<'_> {
    /// Sets how long the job may run, as
    /// [`PoolBuilder::task_timeout`](super::PoolBuilder::task_timeout) does for all jobs.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.wish.timeout = Some(timeout);
        self
    }

    /// Sets how many more times the job is tried, as
    /// [`PoolBuilder::retries`](super::PoolBuilder::retries) does for all jobs.
    pub fn retries(mut self, count: u32) -> Self {
        self.wish.retries = count;
        self
    }

    /// Hands the job to the pool. See [`Pool::submit`].
    ///
    /// # Errors
    ///
    /// See [`Pool::submit`].
    #[expect(clippy::needless_pass_by_value, reason = "what is sent is given away")]
    pub fn submit<P: Process>(self, process: P) -> Result<Job<P::Output>> {
        match self.submit_until(&process, None)? {
            Some(job) => Ok(job),
            None => unreachable!("it waits without a limit"),
        }
    }

    /// Hands the job to the pool, unless the backlog is full. See [`Pool::try_submit`].
    ///
    /// # Errors
    ///
    /// See [`Pool::try_submit`].
    pub fn try_submit<P: Process>(self, process: P) -> Result<Job<P::Output>, TrySubmitError<P>> {
        match self.submit_until(&process, Some(Instant::now())) {
            Ok(Some(job)) => Ok(job),
            Ok(None) => Err(TrySubmitError::Full(process)),
            Err(error) => Err(TrySubmitError::Failed(error)),
        }
    }

    /// Hands the job to the pool, unless the backlog is full until the deadline.
    fn submit_until<P: Process>(
        self,
        process: &P,
        deadline: Option<Instant>,
    ) -> Result<Option<Job<P::Output>>> {
        let shared = &self.pool.shared;
        if !shared.is_own() {
            let source = io::Error::from_raw_os_error(errno::ECHILD);
            let what = "a pool cannot be used by a copy of its process";
            return Err(Error::os(what, source));
        }
        let order = self.order(process, None, Vec::new())?;
        let mut locked = shared.lock();
        if !locked.has_room() {
            let (waited, has_room) = shared.wait(locked, deadline, Awaited::Room);
            if !has_room {
                return Ok(None);
            }
            locked = waited;
        }
        if locked.is_closed {
            return Err(Error::new(ErrorKind::Disconnected, "the pool is closed"));
        }
        let job = locked.submit(order);
        locked.tell_keeper();
        drop(locked);
        let function = P::__meta().name();
        Ok(Some(Job::new(
            Arc::clone(shared),
            job,
            function,
            receive::<P>,
        )))
    }

    /// Encodes a job, into memory that is used again.
    pub(super) fn order<P: Process>(
        self,
        process: &P,
        group: Option<(GroupId, u64)>,
        bytes: Vec<u8>,
    ) -> Result<Order> {
        let offset = image::offset_of(call::entry::<P> as Entry)
            .map_err(|source| Error::os("our executable cannot be read", source))?;
        let packing = Packing::with(&self.pool.shared.stash);
        let mut message = Outgoing::through(&packing);
        message.bytes = bytes;
        message.bytes.clear();
        // Most arguments are short. One allocation is enough for them, and for the value later.
        message.bytes.reserve(USUAL);
        process.__send(&mut message)?;
        Ok(Order {
            function: P::__meta().name(),
            offset: offset.ok_or_else(errand::not_in_executable)?,
            arguments: packing.finish(message, LONGEST)?,
            wish: Wish {
                timeout: self.wish.timeout.or(P::__defaults().timeout),
                ..self.wish
            },
            group,
        })
    }
}

/// Decodes the value of a job.
pub(super) fn receive<P: Process>(from: &mut Incoming) -> Result<P::Output> {
    <P as Call>::__receive(from)
}

/// Why [`Pool::try_submit`] has submitted nothing.
#[derive(Debug)]
pub enum TrySubmitError<P> {
    /// So many jobs wait already as the [backlog](super::PoolBuilder::backlog) allows.
    Full(P),
    /// It cannot be submitted.
    Failed(Error),
}

impl<P> fmt::Display for TrySubmitError<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("the backlog of the pool is full"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl<P> From<TrySubmitError<P>> for Error {
    /// Gives up the process.
    fn from(error: TrySubmitError<P>) -> Self {
        match error {
            TrySubmitError::Full(_) => {
                let source = io::Error::from(io::ErrorKind::WouldBlock);
                Self::os("the backlog of the pool is full", source)
            }
            TrySubmitError::Failed(error) => error,
        }
    }
}

impl<P: fmt::Debug> std::error::Error for TrySubmitError<P> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Full(_) => None,
            Self::Failed(error) => error.source(),
        }
    }
}
