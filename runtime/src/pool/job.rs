//! A job: a process value that a pool runs.

use super::{
    jobs::value,
    schedule::{Event, Place, TaskId},
    shared::{Awaited, Shared},
};
use crate::{
    error::Result,
    process::{Cause, JobInfo, JoinError},
    sys::{errno, wait},
    wire::Incoming,
};
use std::{
    fmt, io,
    sync::Arc,
    time::{Duration, Instant},
};

/// A job of a [`Pool`](super::Pool), which hands back a `T`.
///
/// Dropping it gives up the value. A job that has not begun is cancelled then; one that runs is
/// left to end by itself.
///
/// # Examples
///
/// ```
/// use procession::{Pool, process};
///
/// #[process]
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// let pool = Pool::new()?;
/// let job = pool.submit(square::new(12))?;
/// assert_eq!(job.join()?, 144);
/// # Ok::<(), procession::Error>(())
/// ```
#[must_use = "dropping a `Job` gives up its value, and cancels it if it has not begun: join it, or detach it"]
pub struct Job<T> {
    shared: Arc<Shared>,
    task: TaskId,
    id: u64,
    function: &'static str,
    decode: fn(&mut Incoming) -> Result<T>,
    /// Whether the pool still knows it: its value was not taken.
    is_known: bool,
}

/// How far a job is, as [`Job::state`] returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobState {
    /// It has not begun.
    Queued,
    /// A worker has begun it.
    Running,
    /// Its value has arrived, or it has none.
    Finished,
}

impl<T> Job<T> {
    pub(super) fn new(
        shared: Arc<Shared>,
        (task, id): (TaskId, u64),
        function: &'static str,
        decode: fn(&mut Incoming) -> Result<T>,
    ) -> Self {
        Self {
            shared,
            task,
            id,
            function,
            decode,
            is_known: true,
        }
    }

    /// Returns the number of the job. The jobs of a pool are numbered from 0 in the order in which
    /// they were submitted.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Waits for the job to end and returns its value. Blocks without a time limit.
    ///
    /// # Errors
    ///
    /// Fails if the job has no value: [`JoinError`] says why.
    pub fn join(mut self) -> Result<T, JoinError> {
        self.join_until(None)?.ok_or_else(|| self.taken())
    }

    /// Returns the value if the job has ended, or `None`. Does not block.
    ///
    /// # Errors
    ///
    /// Fails if the job has no value: [`JoinError`] says why. Fails with
    /// [`JoinErrorKind::Taken`](crate::JoinErrorKind::Taken) if the value has been returned
    /// already.
    pub fn try_join(&mut self) -> Result<Option<T>, JoinError> {
        self.join_until(Some(Instant::now()))
    }

    /// Waits for the job to end, at most for `timeout`, and returns its value, or `None` if it has
    /// not ended. The timeout does not affect the job.
    ///
    /// # Errors
    ///
    /// See [`try_join`](Self::try_join).
    pub fn join_timeout(&mut self, timeout: Duration) -> Result<Option<T>, JoinError> {
        self.join_until(wait::deadline(timeout))
    }

    fn join_until(&mut self, deadline: Option<Instant>) -> Result<Option<T>, JoinError> {
        if !self.is_known {
            return Err(self.taken());
        }
        if !self.shared.is_own() {
            let source = io::Error::from_raw_os_error(errno::ECHILD);
            return Err(self.error(self.info(), Cause::Os(source)));
        }
        let awaited = Awaited::Job(self.task);
        let (mut locked, has_come) = self.shared.wait(self.shared.lock(), deadline, awaited);
        if !has_come {
            return Ok(None);
        }
        self.is_known = false;
        let (info, done) = locked.jobs.take(self.task).ok_or_else(|| self.taken())?;
        drop(locked);
        value(info, done, self.decode).map(Some)
    }

    /// Cancels the job if it has not begun. Returns whether it was cancelled.
    ///
    /// A job that is cancelled ends with [`JoinErrorKind::Cancelled`](crate::JoinErrorKind). One
    /// that runs goes on: [`kill`](Self::kill) ends it.
    #[allow(clippy::must_use_candidate, reason = "most callers need not know")]
    pub fn cancel(&self) -> bool {
        self.end(false)
    }

    /// Gives up the value, and lets the job run to its end. [`Pool::shutdown`](super::Pool::shutdown)
    /// waits for it.
    pub fn detach(mut self) {
        if self.is_known && self.shared.is_own() {
            self.is_known = false;
            self.shared.lock().jobs.give_up(self.task);
        }
    }

    /// Ends the job, also if it runs: its worker is killed, and another one takes its place.
    /// Returns whether the job has had no end yet.
    ///
    /// A job that ran ends with [`JoinErrorKind::Killed`](crate::JoinErrorKind). No other job is
    /// affected. The job may end with its value all the same, if that arrives first.
    #[allow(clippy::must_use_candidate, reason = "most callers need not know")]
    pub fn kill(&self) -> bool {
        self.end(true)
    }

    fn end(&self, running: bool) -> bool {
        if !self.is_known || !self.shared.is_own() {
            return false;
        }
        let mut locked = self.shared.lock();
        if locked.jobs.is_done(self.task) {
            return false;
        }
        locked.tell(Event::Cancelled {
            task: self.task,
            running,
        });
        locked.tell_keeper();
        running || locked.jobs.is_done(self.task)
    }

    /// Returns whether the job has ended. Does not block.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.state() == JobState::Finished
    }

    /// Returns how far the job is. Does not block.
    #[must_use]
    pub fn state(&self) -> JobState {
        if !self.is_known || !self.shared.is_own() {
            return JobState::Finished;
        }
        let mut locked = self.shared.lock();
        locked.turn();
        if locked.jobs.is_done(self.task) {
            return JobState::Finished;
        }
        match locked.schedule.place(self.task) {
            Some(Place::Running(_)) => JobState::Running,
            Some(Place::Offered(worker)) => {
                let has_begun = locked.staff.get(worker).is_some_and(|member| {
                    let mut offered = member.offered.iter();
                    offered.any(|(number, task)| {
                        *task == self.task && member.lane.claimed(*number).is_some()
                    })
                });
                if has_begun {
                    JobState::Running
                } else {
                    JobState::Queued
                }
            }
            Some(Place::Queued) | None => JobState::Queued,
        }
    }

    fn info(&self) -> JobInfo {
        JobInfo {
            id: self.id,
            function: self.function,
            attempts: 0,
            is_set_aside: false,
        }
    }

    fn taken(&self) -> JoinError {
        self.error(self.info(), Cause::Taken)
    }

    fn error(&self, info: JobInfo, cause: Cause) -> JoinError {
        JoinError::of_job(info, (self.shared.config.name.clone(), 0), cause)
    }
}

impl<T> Drop for Job<T> {
    fn drop(&mut self) {
        if !self.is_known || !self.shared.is_own() {
            return;
        }
        let mut locked = self.shared.lock();
        if locked.jobs.give_up(self.task) {
            locked.tell(Event::Cancelled {
                task: self.task,
                running: false,
            });
            locked.tell_keeper();
        }
    }
}

impl<T> fmt::Debug for Job<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("id", &self.id)
            .field("function", &self.function)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
