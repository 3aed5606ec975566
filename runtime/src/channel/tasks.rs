//! Tasks: tell whether all work that was handed out is done.

use crate::{
    error::{Error, Result},
    sys::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        pipe, stdio,
        wait::{self, For},
    },
    wire::{Fd, Label},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Tells when all work that was handed out is done, like Python's `JoinableQueue`.
///
/// [`start`](Self::start) makes a [`Task`] for a piece of work, which is usually sent together with
/// it. The work is done when its task is dropped. If a process ends, even by a signal, its tasks
/// are dropped too, so nobody waits for them forever. The kernel counts the tasks: each is a
/// descriptor, the write end of a [pipe(7)](https://man7.org/linux/man-pages/man7/pipe.7.html), and
/// the `Tasks` hold the read end. If there are many small pieces of work, one task for several of
/// them costs less.
///
/// A clone is another handle to the same tasks. A copy that is sent to another process is one too.
///
/// # Examples
///
/// ```
/// use procession::{channel::{Receiver, Task, Tasks, queue}, process};
///
/// #[process]
/// fn work(jobs: Receiver<(u64, Task)>) {
///     for job in jobs {
///         let (job, task) = job.expect("it can be decoded");
///         assert!(job < 10);
///         task.done();
///     }
/// }
///
/// let (sender, jobs) = queue(16)?;
/// let worker = work::spawn(jobs)?;
/// let tasks = Tasks::new()?;
/// for job in 0..10 {
///     sender.send((job, tasks.start()?))?;
/// }
/// tasks.join()?; // now all jobs are done
/// assert!(tasks.are_done());
/// drop(sender);
/// worker.join()?;
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Clone, Debug)]
#[doc(alias = "JoinableQueue")]
#[doc(alias = "WaitGroup")]
pub struct Tasks {
    pipe: Arc<OwnedFd>,
}

/// A piece of work that is not done yet.
///
/// The work is done when the task is dropped, or when the process that holds it ends.
#[derive(Debug)]
#[must_use = "dropping it says that the work is done"]
pub struct Task {
    /// Only held open, never written to.
    pipe: OwnedFd,
}

impl Tasks {
    /// Makes a counter with no tasks.
    ///
    /// # Errors
    ///
    /// Fails with [`ErrorKind::TooManyFiles`](crate::ErrorKind::TooManyFiles) if the system has no
    /// descriptor left.
    pub fn new() -> Result<Self> {
        // The write end is closed at once: each task opens one of its own.
        let (reader, _) = pipe::make().map_err(|source| Error::os("no pipe for tasks", source))?;
        Ok(Self {
            pipe: Arc::new(reader),
        })
    }

    /// Makes a task for a piece of work.
    ///
    /// # Errors
    ///
    /// Fails with [`ErrorKind::TooManyFiles`](crate::ErrorKind::TooManyFiles) if the system has no
    /// descriptor left, and with [`ErrorKind::Os`](crate::ErrorKind::Os) if `/proc` is not mounted.
    pub fn start(&self) -> Result<Task> {
        let pipe = stdio::open_to_write(self.pipe.as_fd());
        let pipe = pipe.map_err(|source| Error::os("no task can be handed out", source))?;
        Ok(Task { pipe })
    }

    /// Waits until all tasks are done. Blocks without limit.
    ///
    /// A task that is started before the last one is done is waited for too.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses to wait, for example because it has no memory left.
    pub fn join(&self) -> Result<()> {
        self.join_until(None).map(drop)
    }

    /// Waits until all tasks are done, but no longer than `timeout`. Returns whether they are done.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses to wait, for example because it has no memory left.
    pub fn join_timeout(&self, timeout: Duration) -> Result<bool> {
        self.join_until(wait::deadline(timeout))
    }

    /// Returns whether all tasks are done at this moment.
    #[must_use]
    pub fn are_done(&self) -> bool {
        self.join_until(Some(Instant::now())).unwrap_or(false)
    }

    fn join_until(&self, deadline: Option<Instant>) -> Result<bool> {
        let done = wait::until_ready(&[(self.pipe.as_fd(), For::End)], deadline);
        let done = done.map_err(|source| Error::os("tasks cannot be waited for", source))?;
        Ok(done == [true])
    }
}

impl Task {
    /// Marks the work as done. The same as dropping the task.
    #[doc(alias = "task_done")]
    pub fn done(self) {
        drop(self.pipe);
    }
}

impl AsFd for Tasks {
    /// Returns a descriptor that gets `POLLHUP` when all tasks are done.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

impl Serialize for Tasks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (Label::of::<()>("channel::Tasks"), Fd(self.pipe.as_fd())).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Tasks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (label, Fd(pipe)) = <(Label<'_>, Fd<OwnedFd>)>::deserialize(deserializer)?;
        label.check::<(), _>("channel::Tasks")?;
        Ok(Self {
            pipe: Arc::new(pipe),
        })
    }
}

impl Serialize for Task {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (Label::of::<()>("channel::Task"), Fd(self.pipe.as_fd())).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Task {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (label, Fd(pipe)) = <(Label<'_>, Fd<OwnedFd>)>::deserialize(deserializer)?;
        label.check::<(), _>("channel::Task")?;
        Ok(Self { pipe })
    }
}
