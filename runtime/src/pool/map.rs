//! Many jobs, by iterators.

use super::{handle::Pool, job::Job, jobs::GroupId, schedule::TaskId, shared::Awaited};
use crate::{
    call::Call,
    error::{Error, ErrorKind},
    process::{Cause, JobInfo, JoinError, Process},
};
use std::{
    collections::{HashMap, VecDeque},
    fmt,
    iter::FusedIterator,
};

/// How many jobs are submitted at once, at most.
const AT_ONCE: usize = 64;

/// The results of many jobs in the order of the jobs, as [`Pool::map`] returns them.
///
/// An item is an error if its job has no value. The other jobs are not affected, and the iterator
/// goes on. Dropping it cancels the jobs that have not begun.
#[must_use = "the jobs are submitted when the results are asked for"]
pub struct Map<'p, I, T> {
    source: Source<'p, I>,
    jobs: VecDeque<Result<Job<T>, JoinError>>,
}

/// The results of many jobs as they arrive, each with the index of its job, as
/// [`Pool::map_unordered`] returns them.
///
/// An item has an error if its job has no value. The other jobs are not affected, and the iterator
/// goes on. Dropping it cancels the jobs that have not begun.
#[must_use = "the jobs are submitted when the results are asked for"]
pub struct MapUnordered<'p, I, T> {
    source: Source<'p, I>,
    group: GroupId,
    jobs: HashMap<TaskId, (usize, Job<T>)>,
    /// What could not be submitted.
    failed: VecDeque<(usize, JoinError)>,
    /// The index of the next job.
    next: usize,
}

/// What [`Pool::map`] takes: everything that can be made an iterator of processes
/// ([`IntoIterator`]).
///
/// It is implemented for all of them, and needs no other implementation.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an iterator of processes",
    label = "not an iterator of processes",
    note = "what runs for each value is a part of the iterator: `pool.map((0..9).map(square::new))`, where `square` is a function \
            with `#[process]`",
    note = "the iterator has the processes themselves, and not references to them"
)]
pub trait Processes {
    /// The iterator.
    type Iter: Iterator<Item: Process<Output = Self::Output>>;
    /// What the processes return.
    type Output;
    /// Returns the iterator.
    #[doc(hidden)]
    fn iterate(self) -> Self::Iter;
}

#[diagnostic::do_not_recommend]
impl<I: IntoIterator<Item: Process>> Processes for I {
    type Iter = I::IntoIter;
    type Output = <I::Item as Process>::Output;

    fn iterate(self) -> I::IntoIter {
        self.into_iter()
    }
}

/// Where the jobs come from.
struct Source<'p, I> {
    pool: &'p Pool,
    /// `None` when it has ended.
    processes: Option<I>,
}

impl<I: Iterator<Item: Process>> Source<'_, I> {
    /// Submits some more jobs, as many as the workers could need soon. `begun` is how many have no
    /// result yet.
    fn submit(
        &mut self,
        group: Option<GroupId>,
        begun: usize,
        mut to: impl FnMut(Result<Job<<I::Item as Process>::Output>, JoinError>),
    ) {
        let Some(processes) = &mut self.processes else {
            return;
        };
        let locked = self.pool.shared.lock();
        let free = self.pool.shared.config.backlog;
        let free = free.saturating_sub(locked.schedule.queued());
        let room = locked.schedule.room().min(free);
        drop(locked);
        for _ in 0..room.min(AT_ONCE).max(usize::from(begun == 0)) {
            let Some(process) = processes.next() else {
                self.processes = None;
                return;
            };
            let job = self.pool.job().submit_until(&process, group, None);
            to(match job {
                Ok(Some(job)) => Ok(job),
                Ok(None) => unreachable!("it waits without a limit"),
                Err(error) => Err(self.pool.unsubmitted::<I::Item>(error)),
            });
        }
    }

    fn size_hint(&self, begun: usize) -> (usize, Option<usize>) {
        let left = self.processes.as_ref().map(Iterator::size_hint);
        let (least, most) = left.unwrap_or((0, Some(0)));
        (
            least.saturating_add(begun),
            most.and_then(|most| most.checked_add(begun)),
        )
    }
}

impl Pool {
    /// Runs many jobs and returns their results in the order of the jobs.
    ///
    /// The iterator is read as the workers need it, a little ahead, so it may be infinite. Dropping
    /// the result cancels the jobs that have not begun.
    ///
    /// # Examples
    ///
    /// See the [module](self).
    #[doc(alias = "imap")]
    pub fn map<P: Processes>(&self, processes: P) -> Map<'_, P::Iter, P::Output> {
        Map::new(self, processes.iterate())
    }

    /// Runs many jobs and returns their results as they arrive, each with the index of its job.
    ///
    /// It reads the iterator as [`map`](Self::map) does.
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::{Pool, process};
    ///
    /// #[process]
    /// fn length(text: &str) -> usize {
    ///     text.len()
    /// }
    ///
    /// let texts = ["a", "bb", "ccc"];
    /// let pool = Pool::builder().workers(2).build()?;
    /// let mut lengths = [0; 3];
    /// for (index, length) in pool.map_unordered(texts.map(length::new)) {
    ///     lengths[index] = length?;
    /// }
    /// assert_eq!(lengths, [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "imap_unordered")]
    pub fn map_unordered<P: Processes>(
        &self,
        processes: P,
    ) -> MapUnordered<'_, P::Iter, P::Output> {
        MapUnordered::new(self, processes.iterate())
    }

    /// Returns the error of a job that could not be submitted.
    fn unsubmitted<P: Process>(&self, error: Error) -> JoinError {
        let info = JobInfo {
            id: self.shared.lock().jobs.skip_id(),
            function: <P as Call>::__meta().name(),
            attempts: 0,
            is_set_aside: false,
        };
        let cause = match error.kind() {
            ErrorKind::Disconnected => Cause::PoolClosed,
            _ => Cause::Arguments(error),
        };
        JoinError::of_job(info, (self.shared.config.name.clone(), 0), cause)
    }
}

impl<'p, I, T> Map<'p, I, T> {
    pub(super) fn new(pool: &'p Pool, processes: I) -> Self {
        Self {
            source: Source {
                pool,
                processes: Some(processes),
            },
            jobs: VecDeque::new(),
        }
    }
}

impl<I: Iterator<Item: Process<Output = T>>, T> Iterator for Map<'_, I, T> {
    type Item = Result<T, JoinError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Self { source, jobs } = self;
        source.submit(None, jobs.len(), |job| jobs.push_back(job));
        Some(jobs.pop_front()?.and_then(Job::join))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.source.size_hint(self.jobs.len())
    }
}

impl<I: Iterator<Item: Process<Output = T>>, T> FusedIterator for Map<'_, I, T> {}

impl<'p, I, T> MapUnordered<'p, I, T> {
    pub(super) fn new(pool: &'p Pool, processes: I) -> Self {
        Self {
            group: pool.shared.lock().jobs.add_group(),
            source: Source {
                pool,
                processes: Some(processes),
            },
            jobs: HashMap::new(),
            failed: VecDeque::new(),
            next: 0,
        }
    }
}

impl<I: Iterator<Item: Process<Output = T>>, T> Iterator for MapUnordered<'_, I, T> {
    type Item = (usize, Result<T, JoinError>);

    fn next(&mut self) -> Option<Self::Item> {
        let Self {
            source,
            group,
            jobs,
            failed,
            next,
        } = self;
        source.submit(Some(*group), jobs.len(), |job| {
            let index = *next;
            *next += 1;
            match job {
                Ok(job) => drop(jobs.insert(job.task(), (index, job))),
                Err(error) => failed.push_back((index, error)),
            }
        });
        if let Some((index, error)) = failed.pop_front() {
            return Some((index, Err(error)));
        }
        if jobs.is_empty() {
            return None;
        }
        let shared = &source.pool.shared;
        let (mut locked, _) = shared.wait(shared.lock(), None, Awaited::Group(*group));
        let ended = locked.jobs.next_ended(*group)?;
        drop(locked);
        let (index, job) = jobs.remove(&ended)?;
        Some((index, job.join()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.source.size_hint(self.jobs.len() + self.failed.len())
    }
}

impl<I: Iterator<Item: Process<Output = T>>, T> FusedIterator for MapUnordered<'_, I, T> {}

impl<I, T> Drop for MapUnordered<'_, I, T> {
    fn drop(&mut self) {
        let shared = &self.source.pool.shared;
        if shared.is_own() {
            shared.lock().jobs.remove_group(self.group);
        }
    }
}

impl<I, T> fmt::Debug for Map<'_, I, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map")
            .field("begun", &self.jobs.len())
            .finish_non_exhaustive()
    }
}

impl<I, T> fmt::Debug for MapUnordered<'_, I, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapUnordered")
            .field("begun", &self.jobs.len())
            .finish_non_exhaustive()
    }
}
