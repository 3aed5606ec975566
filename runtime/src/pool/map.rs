//! Many jobs, by iterators.

use super::{
    handle::Pool,
    jobs::{Done, GroupId, Order, value},
    shared::Awaited,
    submit::{JobBuilder, receive},
};
use crate::{
    call::Call,
    error::{Error, ErrorKind},
    process::{Cause, JobInfo, JoinError, Process},
    sys::errno,
    wire::Incoming,
};
use std::{collections::VecDeque, fmt, io, iter::FusedIterator};

/// How many jobs are submitted at once, at most.
const AT_ONCE: usize = 64;

/// How many jobs may be begun before a result is taken, at most.
const AHEAD: usize = 1024;

/// The results of many jobs in the order of the jobs, as [`Pool::map`] returns them.
///
/// An item is an error if its job has no value. The other jobs are not affected, and the iterator
/// goes on. Dropping it cancels the jobs that have not begun.
#[must_use = "the jobs are submitted when the results are asked for"]
pub struct Map<'p, I, T> {
    feed: Feed<'p, I>,
    /// What has arrived, from the next result on. The first is not there, unless it is returned
    /// next.
    arrived: VecDeque<Option<Ended>>,
    /// The index of the next result.
    next: u64,
    decode: Decode<T>,
}

/// The results of many jobs as they arrive, each with the index of its job, as
/// [`Pool::map_unordered`] returns them.
///
/// An item has an error if its job has no value. The other jobs are not affected, and the iterator
/// goes on. Dropping it cancels the jobs that have not begun.
#[must_use = "the jobs are submitted when the results are asked for"]
pub struct MapUnordered<'p, I, T> {
    feed: Feed<'p, I>,
    decode: Decode<T>,
}

/// What [`Pool::map`] takes: everything that can be made an iterator of processes
/// ([`IntoIterator`]).
///
/// It is implemented for all of these. Do not implement it by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an iterator of processes",
    label = "not an iterator of processes",
    note = "call `new` for each value: `pool.map((0..9).map(square::new))`, where `square` is a function with `#[process]`",
    note = "the iterator has processes, and not references to processes"
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

/// Decodes the value of a job.
type Decode<T> = fn(&mut Incoming) -> Result<T, Error>;

/// Takes the next process, and encodes it as the job with this place in its group, into these
/// bytes.
type Take<I> = fn(&mut I, JobBuilder<'_>, (GroupId, u64), Vec<u8>) -> Option<Result<Order, Error>>;

/// What is done with an iterator of processes.
///
/// These are functions, so that [`Map`] is an iterator without a bound: a wrong argument of
/// [`Pool::map`] is one error then.
struct Steps<I> {
    take: Take<I>,
    size_hint: fn(&I) -> (usize, Option<usize>),
    /// The name of the function of the processes.
    function: &'static str,
}

impl<I: Iterator<Item: Process>> Steps<I> {
    fn new() -> Self {
        Self {
            take: |processes, job, place, bytes| {
                let process = processes.next()?;
                Some(job.order(&process, Some(place), bytes))
            },
            size_hint: Iterator::size_hint,
            function: <I::Item as Call>::__meta().name(),
        }
    }
}

/// What came of a job.
type Ended = (JobInfo, Done);

/// Submits jobs as the workers need them, and takes what comes of them.
struct Feed<'p, I> {
    pool: &'p Pool,
    group: GroupId,
    /// `None` when it has ended.
    processes: Option<I>,
    steps: Steps<I>,
    /// The index of the next job.
    next: u64,
    /// How many jobs were submitted and have not ended.
    begun: usize,
    /// What has ended and was not taken, with the index of the job.
    ended: VecDeque<(u64, Ended)>,
    orders: Vec<Order>,
    /// The memory of short values that were taken, for the next arguments.
    spare: Vec<Vec<u8>>,
}

/// The most memory that is kept for the arguments of a job, in bytes.
const SPARE: usize = 256;

impl Pool {
    /// Runs many jobs and returns their results in the order of the jobs.
    ///
    /// No job runs before the first result is asked for. Then the iterator is read as the workers
    /// need it, so it may be infinite. While the caller does something else, a few jobs for each
    /// worker run ahead. While it waits for a slow job, up to about a thousand do. Dropping
    /// the result cancels the jobs that have not begun. With the feature `progress`,
    /// `.progress("resizing")` on the result shows a progress bar.
    ///
    /// # Examples
    ///
    /// See the [module](super).
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
}

impl<'p, I> Feed<'p, I> {
    fn new(pool: &'p Pool, processes: I, steps: Steps<I>) -> Self {
        let shared = &pool.shared;
        let group = if shared.is_own() {
            shared.lock().jobs.add_group()
        } else {
            GroupId::default()
        };
        Self {
            pool,
            group,
            processes: Some(processes),
            steps,
            next: 0,
            begun: 0,
            ended: VecDeque::new(),
            orders: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// Takes the next job that has ended. `held` is how many results the caller holds. Returns
    /// `None` when there are no more jobs.
    fn next(&mut self, held: usize) -> Option<(u64, Ended)> {
        if !self.pool.shared.is_own() {
            return self.refuse();
        }
        loop {
            if let Some(ended) = self.ended.pop_front() {
                return Some(ended);
            }
            let shared = &self.pool.shared;
            let mut locked = shared.lock();
            self.begun -= locked.jobs.take_ended(self.group, &mut self.ended);
            let free = shared
                .config
                .backlog
                .saturating_sub(locked.schedule.queued());
            let room = locked.schedule.room().min(free).min(AT_ONCE);
            drop(locked);
            for (_, (_, done)) in self.ended.iter_mut().skip(1) {
                done.unpack();
            }
            if held + self.begun < AHEAD && self.processes.is_some() {
                self.submit(room.max(usize::from(self.begun == 0)));
            }
            if self.ended.is_empty() && self.begun == 0 && self.processes.is_none() {
                return None;
            }
            if self.ended.is_empty() && self.begun > 0 {
                let (locked, _) = shared.wait(shared.lock(), None, Awaited::Group(self.group));
                drop(locked);
            }
        }
    }

    /// Returns that the next job cannot be submitted, in a copy of the process.
    fn refuse(&mut self) -> Option<(u64, Ended)> {
        let place = (self.group, self.next);
        let processes = self.processes.as_mut()?;
        drop((self.steps.take)(
            processes,
            self.pool.job(),
            place,
            Vec::new(),
        )?);
        let info = JobInfo {
            id: self.next,
            function: self.steps.function,
            attempts: 0,
            is_set_aside: false,
        };
        let cause = Cause::Os(io::Error::from_raw_os_error(errno::ECHILD));
        let pool = (self.pool.name().to_owned(), 0);
        let error = JoinError::of_job(info, pool, cause);
        self.next += 1;
        Some((self.next - 1, (info, Done::Failed(error))))
    }

    /// Submits some jobs.
    fn submit(&mut self, count: usize) {
        let Some(processes) = &mut self.processes else {
            return;
        };
        let first = self.next;
        for _ in 0..count {
            let place = (self.group, self.next);
            let bytes = self.spare.pop().unwrap_or_default();
            let Some(order) = (self.steps.take)(processes, self.pool.job(), place, bytes) else {
                self.processes = None;
                break;
            };
            match order {
                Ok(order) => self.orders.push(order),
                Err(error) => {
                    let failed = self.pool.unsubmitted(self.steps.function, error);
                    self.ended.push_back((self.next, failed));
                }
            }
            self.next += 1;
        }
        debug_assert!(self.next - first <= count as u64);
        let shared = &self.pool.shared;
        let mut locked = shared.lock();
        if !locked.has_room() {
            (locked, _) = shared.wait(locked, None, Awaited::Room);
        }
        if !locked.is_closed {
            self.begun += self.orders.len();
            locked.submit_all(self.orders.drain(..));
            locked.tell_keeper();
            return;
        }
        drop(locked);
        for order in self.orders.drain(..) {
            let (_, index) = order.group.expect("it is of this group");
            let error = Error::new(ErrorKind::Disconnected, "the pool is closed");
            let failed = self.pool.unsubmitted(self.steps.function, error);
            self.ended.push_back((index, failed));
        }
    }

    /// Decodes a value, and keeps its memory.
    fn value<T>(&mut self, (info, done): Ended, decode: Decode<T>) -> Result<T, JoinError> {
        value(info, done, |from| {
            let value = decode(from);
            let bytes = from.take_bytes();
            if self.spare.len() < AHEAD && bytes.capacity() <= SPARE {
                self.spare.push(bytes);
            }
            value
        })
    }

    fn size_hint(&self, held: usize) -> (usize, Option<usize>) {
        let begun = self.begun + self.ended.len() + held;
        let left = self.processes.as_ref().map(self.steps.size_hint);
        let (least, most) = left.unwrap_or((0, Some(0)));
        (
            least.saturating_add(begun),
            most.and_then(|most| most.checked_add(begun)),
        )
    }
}

impl<I> Drop for Feed<'_, I> {
    fn drop(&mut self) {
        let shared = &self.pool.shared;
        if shared.is_own() {
            shared.lock().give_up(self.group);
        }
    }
}

impl Pool {
    /// Returns what came of a job that could not be submitted.
    fn unsubmitted(&self, function: &'static str, error: Error) -> Ended {
        let info = JobInfo {
            id: self.shared.lock().jobs.skip_id(),
            function,
            attempts: 0,
            is_set_aside: false,
        };
        let cause = match error.kind() {
            ErrorKind::Disconnected => Cause::PoolClosed,
            _ => Cause::Arguments(error),
        };
        let pool = (self.shared.config.name.clone(), 0);
        (info, Done::Failed(JoinError::of_job(info, pool, cause)))
    }
}

impl<'p, I: Iterator<Item: Process<Output = T>>, T> Map<'p, I, T> {
    fn new(pool: &'p Pool, processes: I) -> Self {
        Self {
            feed: Feed::new(pool, processes, Steps::new()),
            arrived: VecDeque::new(),
            next: 0,
            decode: receive::<I::Item>,
        }
    }
}

impl<I, T> Iterator for Map<'_, I, T> {
    type Item = Result<T, JoinError>;

    fn next(&mut self) -> Option<Self::Item> {
        let ended = loop {
            if let Some(Some(_)) = self.arrived.front() {
                break self.arrived.pop_front().flatten()?;
            }
            let (index, ended) = self.feed.next(self.arrived.len())?;
            let place = usize::try_from(index - self.next).ok()?;
            if place == 0 {
                self.arrived.pop_front();
                break ended;
            }
            if place >= self.arrived.len() {
                self.arrived.resize_with(place + 1, || None);
            }
            // It may be kept for long, and descriptors are few.
            let (info, mut done) = ended;
            done.unpack();
            self.arrived[place] = Some((info, done));
        };
        self.next += 1;
        Some(self.feed.value(ended, self.decode))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.feed.size_hint(self.arrived.iter().flatten().count())
    }
}

impl<I, T> FusedIterator for Map<'_, I, T> {}

impl<'p, I: Iterator<Item: Process<Output = T>>, T> MapUnordered<'p, I, T> {
    fn new(pool: &'p Pool, processes: I) -> Self {
        Self {
            feed: Feed::new(pool, processes, Steps::new()),
            decode: receive::<I::Item>,
        }
    }
}

impl<I, T> Iterator for MapUnordered<'_, I, T> {
    type Item = (usize, Result<T, JoinError>);

    fn next(&mut self) -> Option<Self::Item> {
        let (index, ended) = self.feed.next(0)?;
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        Some((index, self.feed.value(ended, self.decode)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.feed.size_hint(0)
    }
}

impl<I, T> FusedIterator for MapUnordered<'_, I, T> {}

impl<I, T> fmt::Debug for Map<'_, I, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map")
            .field("begun", &self.feed.begun)
            .finish_non_exhaustive()
    }
}

impl<I, T> fmt::Debug for MapUnordered<'_, I, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapUnordered")
            .field("begun", &self.feed.begun)
            .finish_non_exhaustive()
    }
}
