//! Whether everything that was handed out has been done.

use crate::{
    Fd,
    error::{Error, Result},
    sys::{
        stdio,
        wait::{self, For},
    },
    wire::Label,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    time::{Duration, Instant},
};

/// Tells when everything that was handed out has been done: what Python's `JoinableQueue` has beside a queue.
///
/// A [`Task`] goes with each piece of work, in the same message for instance, and is dropped when that is done. A process that is killed
/// drops what it has, too, so that nobody waits for it. The kernel counts: a task is a descriptor, the write end of a
/// [pipe(7)](https://man7.org/linux/man-pages/man7/pipe.7.html) whose read end is here. So where the pieces are many and small, one task
/// for many of them costs less.
///
/// A clone is a handle to the same, and so is what another process gets to which one is sent.
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
/// tasks.join()?; // all of them are done
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

/// A piece of work that is not done yet. Dropping it says that it is, and so does the end of its process.
#[derive(Debug)]
#[must_use = "dropping it says that the work is done"]
pub struct Task {
    /// Held open, and nothing else.
    pipe: OwnedFd,
}

impl Tasks {
    /// Makes one of which nothing has been handed out.
    ///
    /// # Errors
    ///
    /// When the system has no descriptors to give.
    pub fn new() -> Result<Self> {
        // The write end goes at once: each task has one of its own.
        let (reader, _) = io::pipe().map_err(|source| Error::os("no pipe for tasks", source))?;
        Ok(Self {
            pipe: Arc::new(reader.into()),
        })
    }

    /// Hands out a piece of work.
    ///
    /// # Errors
    ///
    /// When the system has no descriptor to give, or `/proc` is not mounted.
    pub fn start(&self) -> Result<Task> {
        let pipe = stdio::open_to_write(self.pipe.as_fd());
        let pipe = pipe.map_err(|source| Error::os("no task can be handed out", source))?;
        Ok(Task { pipe })
    }

    /// Waits until everything is done that has been handed out by then, for as long as that takes.
    ///
    /// # Errors
    ///
    /// When the system refuses to wait.
    pub fn join(&self) -> Result<()> {
        self.join_until(None).map(drop)
    }

    /// Waits until everything is done, but no longer than `timeout`; returns whether it is.
    ///
    /// # Errors
    ///
    /// When the system refuses to wait.
    pub fn join_timeout(&self, timeout: Duration) -> Result<bool> {
        self.join_until(wait::deadline(timeout))
    }

    /// Returns whether everything is done, at the moment.
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
    /// Says that it is done.
    #[doc(alias = "task_done")]
    pub fn done(self) {
        drop(self.pipe);
    }
}

impl AsFd for Tasks {
    /// Returns a descriptor of which `POLLHUP` tells that everything is done.
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
