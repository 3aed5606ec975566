//! The jobs of a pool: what was submitted, and what came of it.

use super::{
    lane::Loan,
    schedule::{End, Moment, TaskId, Wish},
    staff::About,
    worker::outcome,
};
use crate::{
    channel::{Parcel, Stash},
    error::{Error, ErrorKind},
    process::{Cause, JobInfo, JoinError, JoinErrorKind},
    start::Failure,
    wire::{self, Incoming},
};
use serde::de::DeserializeOwned;
use std::{
    collections::{BTreeMap, VecDeque},
    io, mem,
    sync::Arc,
};

/// Jobs that are waited for together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GroupId(u64);

/// What is submitted.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) function: &'static str,
    /// The offset of the function in the executable.
    pub(super) offset: u64,
    pub(super) arguments: Parcel,
    pub(super) wish: Wish,
    /// The group of the job, and its index there.
    pub(super) group: Option<(GroupId, u64)>,
}

#[derive(Debug)]
pub(super) struct Entry {
    turn: u32,
    pub(super) id: u64,
    pub(super) function: &'static str,
    pub(super) offset: u64,
    pub(super) arguments: Parcel,
    pub(super) wish: Wish,
    /// When it was submitted.
    pub(super) submitted: Moment,
    /// How often it was begun.
    pub(super) attempts: u32,
    /// What came of its last attempt. It is final when the scheduler has decided so.
    pub(super) done: Option<Done>,
    /// Why its last attempt has failed, if it may be tried again.
    pub(super) failed: Option<JoinError>,
    state: State,
    group: Option<(GroupId, u64)>,
    /// Whether its arguments are in memory of their own.
    is_large: bool,
    /// Whether its answer takes a descriptor.
    is_held: bool,
}

/// What a worker has answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) outcome: u8,
    pub(super) content: io::Result<Content>,
    pub(super) by: Arc<About>,
    /// The memory of the worker in which the content is.
    pub(super) loan: Option<Loan>,
}

/// The content of an answer.
#[derive(Debug)]
pub(super) enum Content {
    /// As it came. A long one takes a descriptor.
    Packed(Parcel),
    Unpacked(crate::error::Result<Incoming>),
}

/// What came of a job.
#[derive(Debug)]
pub(super) enum Done {
    Answered(Answer),
    Failed(JoinError),
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The entry is free.
    Free,
    /// `is_wanted` says whether somebody holds the job.
    Open {
        is_wanted: bool,
    },
    Done,
}

/// All jobs that are open, or whose value nobody has taken yet.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    entries: Vec<Entry>,
    free: Vec<u32>,
    next_id: u64,
    /// The jobs of each group that have ended and were not taken.
    groups: BTreeMap<GroupId, VecDeque<TaskId>>,
    next_group: u64,
    stash: Arc<Stash>,
    /// How many jobs are open.
    open: usize,
    /// How many of them have arguments in memory of their own, which takes a descriptor.
    large: usize,
    /// How many answers are kept that take a descriptor.
    held: usize,
}

/// How many jobs may have arguments, and how many may have an answer, that take a descriptor.
const MOST_LARGE: usize = 64;

impl Jobs {
    /// Returns no jobs. The memory of their arguments goes to the stash.
    pub(super) fn new(stash: Arc<Stash>) -> Self {
        Self {
            stash,
            ..Self::default()
        }
    }

    /// Adds a job, and returns its number too.
    pub(super) fn add(&mut self, order: Order, now: Moment) -> (TaskId, u64) {
        let id = self.skip_id();
        let index = self.free.pop().unwrap_or_else(|| {
            let index = u32::try_from(self.entries.len()).expect("there are fewer jobs");
            self.entries.push(Entry {
                turn: 0,
                id: 0,
                function: "",
                offset: 0,
                arguments: Parcel::default(),
                wish: Wish::default(),
                submitted: Moment::ZERO,
                attempts: 0,
                done: None,
                failed: None,
                state: State::Free,
                group: None,
                is_large: false,
                is_held: false,
            });
            index
        });
        let job = &mut self.entries[index as usize];
        job.turn = job.turn.wrapping_add(1);
        job.id = id;
        job.function = order.function;
        job.offset = order.offset;
        job.is_large = order.arguments.form.spilled;
        job.is_held = false;
        job.arguments = order.arguments;
        job.wish = order.wish;
        job.group = order.group;
        job.submitted = now;
        job.attempts = 0;
        job.state = State::Open { is_wanted: true };
        let turn = job.turn;
        self.open += 1;
        self.large += usize::from(job.is_large);
        (TaskId { index, turn }, id)
    }

    pub(super) fn get(&self, task: TaskId) -> Option<&Entry> {
        let job = self.entries.get(task.index as usize)?;
        (job.turn == task.turn && !matches!(job.state, State::Free)).then_some(job)
    }

    pub(super) fn get_mut(&mut self, task: TaskId) -> Option<&mut Entry> {
        let job = self.entries.get_mut(task.index as usize)?;
        (job.turn == task.turn && !matches!(job.state, State::Free)).then_some(job)
    }

    pub(super) fn is_done(&self, task: TaskId) -> bool {
        self.get(task)
            .is_none_or(|job| matches!(job.state, State::Done))
    }

    /// Ends an open job with what has come of it.
    pub(super) fn resolve(&mut self, task: TaskId) {
        let Some(job) = self.get_mut(task) else {
            return;
        };
        let State::Open { is_wanted } = job.state else {
            return;
        };
        let memory = mem::take(&mut job.arguments).take_memory();
        job.failed = None;
        job.state = State::Done;
        let (group, is_large) = (job.group, job.is_large);
        self.open -= 1;
        self.large -= usize::from(is_large);
        if let Some(memory) = memory {
            self.stash.keep(memory);
        }
        if !is_wanted {
            self.remove(task);
        } else if let Some(ended) = group.and_then(|(group, _)| self.groups.get_mut(&group)) {
            ended.push_back(task);
        }
    }

    /// How many jobs are open.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// Whether one more job may be submitted that takes a descriptor.
    pub(super) fn has_descriptors(&self) -> bool {
        self.large < MOST_LARGE
    }

    /// Notes that an answer is kept. Unpacks it if so many are kept that take a descriptor.
    pub(super) fn hold(&mut self, task: TaskId) {
        let is_full = self.held >= MOST_LARGE;
        let Some(job) = self.get_mut(task) else {
            return;
        };
        match &mut job.done {
            Some(Done::Answered(answer)) if answer.takes_a_descriptor() => {
                if is_full {
                    answer.unpack();
                } else if !mem::replace(&mut job.is_held, true) {
                    self.held += 1;
                }
            }
            _ => {}
        }
    }

    /// Makes a group, whose jobs can be waited for together.
    pub(super) fn add_group(&mut self) -> GroupId {
        let group = GroupId(self.next_group);
        self.next_group += 1;
        self.groups.insert(group, VecDeque::new());
        group
    }

    /// Removes a group. Returns its open jobs.
    pub(super) fn remove_group(&mut self, group: GroupId) -> Vec<TaskId> {
        self.groups.remove(&group);
        let of_group = |(index, job): (usize, &Entry)| {
            let is_of_it = job.group.is_some_and(|(of, _)| of == group);
            let index = u32::try_from(index).ok().filter(|_| is_of_it)?;
            let turn = job.turn;
            (!matches!(job.state, State::Free)).then_some(TaskId { index, turn })
        };
        self.entries
            .iter()
            .enumerate()
            .filter_map(of_group)
            .collect()
    }

    /// Whether a job of the group has ended that was not taken.
    pub(super) fn has_ended(&self, group: GroupId) -> bool {
        self.groups
            .get(&group)
            .is_none_or(|ended| !ended.is_empty())
    }

    /// Takes the jobs of the group that have ended, in the order of their ends, each with its
    /// index. Returns how many.
    pub(super) fn take_ended(
        &mut self,
        group: GroupId,
        to: &mut VecDeque<(u64, (JobInfo, Done))>,
    ) -> usize {
        let before = to.len();
        let mut ended = self.groups.get_mut(&group).map(mem::take);
        for task in ended.iter_mut().flat_map(|ended| ended.drain(..)) {
            let Some(job) = self.get_mut(task) else {
                continue;
            };
            if let Some(((_, index), done)) = job.group.zip(job.done.take()) {
                to.push_back((index, (job.info(), done)));
            }
            self.remove(task);
        }
        // Its memory is used again.
        if let Some((place, ended)) = self.groups.get_mut(&group).zip(ended) {
            *place = ended;
        }
        to.len() - before
    }

    /// Returns a number for something that could not become a job.
    pub(super) fn skip_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    /// Takes what came of a job that is done, and forgets the job.
    pub(super) fn take(&mut self, task: TaskId) -> Option<(JobInfo, Done)> {
        let job = self.get_mut(task)?;
        if !matches!(job.state, State::Done) {
            return None;
        }
        let (info, done) = (job.info(), job.done.take());
        self.remove(task);
        Some((info, done?))
    }

    /// Notes that nobody holds the job any more. Returns whether it is still open.
    pub(super) fn give_up(&mut self, task: TaskId) -> bool {
        match self.get_mut(task).map(|job| &mut job.state) {
            Some(State::Open { is_wanted }) => {
                *is_wanted = false;
                true
            }
            Some(State::Done) => {
                self.remove(task);
                false
            }
            Some(State::Free) | None => false,
        }
    }

    fn remove(&mut self, task: TaskId) {
        let job = &mut self.entries[task.index as usize];
        job.state = State::Free;
        job.done = None;
        self.held -= usize::from(mem::take(&mut job.is_held));
        self.free.push(task.index);
    }
}

impl Entry {
    pub(super) fn info(&self) -> JobInfo {
        JobInfo {
            id: self.id,
            function: self.function,
            attempts: self.attempts,
            is_set_aside: false,
        }
    }

    /// Whether it may be begun once more after this attempt.
    pub(super) fn may_be_tried_again(&self) -> bool {
        self.attempts <= self.wish.retries
    }

    /// Returns the bytes of the arguments if they are not needed again, for the answer.
    pub(super) fn spare_bytes(&mut self) -> Vec<u8> {
        if self.wish.retries > 0 {
            return Vec::new();
        }
        mem::take(&mut self.arguments.bytes)
    }

    /// Returns the error of an end without an answer and without a lost worker.
    pub(super) fn unanswered(
        &mut self,
        pool: &str,
        end: End,
        reason: Option<&Arc<Error>>,
    ) -> JoinError {
        let cause = match end {
            End::Cancelled => Cause::Cancelled,
            End::NoWorkers => Cause::NoWorker(reason.cloned()),
            _ => Cause::PoolClosed,
        };
        match self.failed.take() {
            // It was to be tried again. Why it has no value is what ended its last attempt.
            Some(failed) if end != End::Cancelled => failed,
            _ => JoinError::of_job(self.info(), (pool.to_owned(), 0), cause),
        }
    }
}

impl Done {
    /// Gives back the descriptor of an answer that is kept for long.
    pub(super) fn unpack(&mut self) {
        if let Self::Answered(answer) = self
            && answer.takes_a_descriptor()
        {
            answer.unpack();
        }
    }
}

impl Answer {
    fn takes_a_descriptor(&self) -> bool {
        matches!(&self.content, Ok(Content::Packed(parcel)) if parcel.form.spilled)
    }

    /// Reads the memory file of the content, if it is in one.
    fn unpack(&mut self) {
        if let Ok(content) = &mut self.content
            && let Content::Packed(parcel) = content
        {
            *content = Content::Unpacked(mem::take(parcel).open());
            self.loan = None;
        }
    }

    /// Returns how the job has failed, as far as the worker knows.
    pub(super) fn failed_as(&self) -> Option<JoinErrorKind> {
        match self.outcome {
            _ if self.content.is_err() => Some(JoinErrorKind::Os),
            outcome::VALUE => None,
            outcome::PANICKED => Some(JoinErrorKind::Panicked),
            outcome::UNREADABLE => Some(JoinErrorKind::Arguments),
            outcome::UNSENDABLE => Some(JoinErrorKind::Unsendable),
            _ => Some(JoinErrorKind::Undecodable),
        }
    }

    /// Whether the job has a value, as far as the worker knows.
    pub(super) fn is_value(&self) -> bool {
        self.outcome == outcome::VALUE && self.content.is_ok()
    }

    /// Decodes the value, or returns the error of a job that has none.
    pub(super) fn open<T>(
        self,
        job: JobInfo,
        read: impl FnOnce(&mut Incoming) -> crate::error::Result<T>,
    ) -> Result<T, JoinError> {
        let Self {
            outcome,
            content,
            by,
            loan: _loan,
        } = self;
        let open = |content: Content| {
            let unpacked = match content {
                Content::Packed(parcel) => parcel.open(),
                Content::Unpacked(incoming) => incoming,
            };
            let mut incoming = unpacked.map_err(Cause::Undecodable)?;
            match outcome {
                outcome::VALUE => read(&mut incoming).map_err(Cause::Undecodable),
                outcome::PANICKED => Err(Cause::Panicked(decode(&incoming)?)),
                outcome::UNREADABLE => Err(Cause::Arguments(decode::<Failure>(&incoming)?.into())),
                outcome::UNSENDABLE => Err(Cause::Unsendable(decode::<Failure>(&incoming)?.into())),
                _ => Err(Cause::Undecodable(unreadable())),
            }
        };
        let opened = content.map_err(Cause::Os).and_then(open);
        opened.map_err(|cause| JoinError::of_job(job, (by.name.clone(), by.id), cause))
    }
}

/// Returns the value of a job that has ended.
pub(super) fn value<T>(
    info: JobInfo,
    done: Done,
    decode: impl FnOnce(&mut Incoming) -> crate::error::Result<T>,
) -> Result<T, JoinError> {
    match done {
        Done::Failed(error) => Err(error),
        Done::Answered(answer) => answer.open(info, decode),
    }
}

/// Decodes what a worker says about a job that has no value.
fn decode<T: DeserializeOwned>(message: &Incoming) -> Result<T, Cause> {
    wire::decode(message.bytes()).map_err(|source| Cause::Undecodable(unreadable().because(source)))
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Decode, "what its worker says cannot be decoded")
}
