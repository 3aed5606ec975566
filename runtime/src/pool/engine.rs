//! What a pool does: it tells the scheduler what happens, and does what the scheduler decides.

use super::{
    config::Config,
    jobs::{Answer, Content, Done, Entry, GroupId, Jobs, Order},
    lane::{Glance, Withdrawal},
    schedule::{Action, End, Event, Moment, Schedule, TaskId, Why, WorkerId},
    staff::{Member, Staff},
    stats::{RestartReason, RunningJob, Stats, Tally, WorkerStats},
    worker::Ended,
};
use crate::{
    channel::Stash,
    error::{Error, ErrorKind},
    process::{Cause, JoinError},
    sys::futex,
};
use std::{collections::VecDeque, mem, sync::Arc, time::Duration};

/// How long a worker that is let go may take to end, with its finalizer and its own children.
const PARTING: Duration = Duration::from_secs(10);

/// The state of a pool, behind its lock.
#[derive(Debug)]
pub(super) struct Engine {
    config: Arc<Config>,
    pub(super) schedule: Schedule,
    pub(super) jobs: Jobs,
    pub(super) staff: Staff,
    /// The workers to be started.
    pub(super) starts: VecDeque<WorkerId>,
    /// Whether no job is taken any more.
    pub(super) is_closed: bool,
    /// Whether the pool was ended before all jobs had.
    pub(super) is_cut: bool,
    /// How many workers there are at most.
    most: usize,
    /// Why the last worker could not be started.
    reason: Option<Arc<Error>>,
    /// The last worker that was lost, and the error of its job.
    lost: Option<(WorkerId, JoinError)>,
    /// Looks at the lanes, for whoever waits without the lock.
    pub(super) glances: Arc<[Glance]>,
    actions: Vec<Action>,
    /// The workers that were let go and have not ended, and when they are killed, the first ones
    /// first.
    retiring: VecDeque<(WorkerId, Moment)>,
    pub(super) tally: Tally,
}

impl Engine {
    pub(super) fn new(config: Arc<Config>, stash: Arc<Stash>) -> Self {
        Self {
            schedule: Schedule::new(config.plan),
            most: config.plan.most,
            config,
            jobs: Jobs::new(stash),
            staff: Staff::default(),
            starts: VecDeque::new(),
            is_closed: false,
            is_cut: false,
            reason: None,
            lost: None,
            glances: Arc::new([]),
            actions: Vec::new(),
            retiring: VecDeque::new(),
            tally: Tally::default(),
        }
    }

    /// Adds a job. Returns it and its number.
    pub(super) fn submit(&mut self, order: Order) -> (TaskId, u64) {
        let now = futex::since_boot();
        let wish = order.wish;
        let (task, id) = self.jobs.add(order, now);
        self.schedule.submit(task, wish, now);
        self.act(now);
        (task, id)
    }

    /// Adds many jobs at once.
    pub(super) fn submit_all(&mut self, orders: impl Iterator<Item = Order>) {
        let now = futex::since_boot();
        for order in orders {
            let wish = order.wish;
            let (task, _) = self.jobs.add(order, now);
            self.schedule.submit(task, wish, now);
        }
        self.act(now);
    }

    /// Gives up a group, whose jobs are cancelled if they have not begun.
    pub(super) fn give_up(&mut self, group: GroupId) {
        let now = futex::since_boot();
        for task in self.jobs.remove_group(group) {
            if self.jobs.give_up(task) {
                let running = false;
                self.schedule.tell(Event::Cancelled { task, running }, now);
            }
        }
        self.act(now);
    }

    /// Changes the number of workers.
    pub(super) fn resize(&mut self, least: usize, most: usize) {
        self.most = most;
        self.tell(Event::Resized { least, most });
    }

    /// How many workers there are at most.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Tells the scheduler something, and does what follows.
    pub(super) fn tell(&mut self, event: Event) {
        let now = futex::since_boot();
        self.schedule.tell(event, now);
        self.act(now);
    }

    /// Takes the answers of all workers, and does what follows from them and from the time.
    pub(super) fn turn(&mut self) {
        let now = futex::since_boot();
        let Self {
            config,
            schedule,
            jobs,
            staff,
            tally,
            ..
        } = self;
        for member in staff.iter_mut() {
            collect(config, (schedule, jobs, tally), member, now);
        }
        self.hurry(now);
        self.act(now);
    }

    /// Kills the workers that were let go and do not end.
    fn hurry(&mut self, now: Moment) {
        while let Some((id, _)) = self.retiring.front().copied().filter(|(_, at)| *at <= now) {
            self.retiring.pop_front();
            self.staff.kill(id, Why::Stopped);
        }
    }

    /// Returns when something is to be done, if nothing happens before.
    pub(super) fn wake_at(&self) -> Option<Moment> {
        let retiring = self.retiring.front().map(|(_, at)| *at);
        self.schedule.wake_at().into_iter().chain(retiring).min()
    }

    /// Whether a worker has sent something that was not taken.
    pub(super) fn has_news(&self) -> bool {
        self.staff.iter().any(|member| {
            member.lane.has_answer()
                || member.ready.is_none() && member.lane.is_ready()
                || !member.waiting.is_empty() && self.has_lane_room(member)
        })
    }

    /// Whether the next task that waits for room in a lane finds some.
    fn has_lane_room(&self, member: &Member) -> bool {
        let next = member.waiting.front().and_then(|task| self.jobs.get(*task));
        next.is_some_and(|job| member.lane.has_room(&job.arguments))
    }

    /// Returns the numbers of this moment.
    pub(super) fn stats(&mut self) -> Stats {
        self.turn();
        let now = futex::since_boot();
        let tally = &self.tally;
        let running = self.staff.iter().filter_map(|member| {
            let mut offered = member.offered.iter().rev();
            let (task, began) =
                offered.find_map(|(number, task)| Some((*task, member.lane.claimed(*number)?)))?;
            let job = self.jobs.get(task)?;
            Some(RunningJob {
                job: job.id,
                function: job.function,
                worker: member.id.index as usize,
                since: now.saturating_sub(began),
            })
        });
        let mut longest: Vec<_> = running.collect();
        longest.sort_by_key(|job| std::cmp::Reverse(job.since));
        let workers = self.staff.iter().map(|member| WorkerStats {
            index: member.id.index as usize,
            id: member.about.id,
            name: member.about.name.clone(),
            tasks: member.answered,
            busy: member.busy,
            age: now.saturating_sub(member.began),
            start_up: member.ready.map(|ready| ready.saturating_sub(member.began)),
        });
        let workers: Vec<_> = workers.collect();
        let offered = self.staff.iter().map(|member| member.offered.len());
        let waiting = self.staff.iter().map(|member| member.waiting.len());
        let at_workers = offered.chain(waiting).sum::<usize>();
        Stats {
            queued: self.schedule.queued() + at_workers - longest.len(),
            running: longest.len(),
            done: tally.done,
            failed: tally.failed.clone(),
            workers,
            restarts: tally.restarts,
            last_restarts: tally.last_restarts.iter().cloned().collect(),
            queue_wait: tally.queue_wait.clone(),
            run_time: tally.run_time.clone(),
            longest,
        }
    }

    /// Whether one more job may wait for a worker, or none is taken any more.
    pub(super) fn has_room(&self) -> bool {
        let is_full = self.schedule.queued() >= self.config.backlog;
        self.is_closed || !is_full && self.jobs.has_descriptors()
    }

    /// Gives a worker its seat, when its process runs.
    pub(super) fn seat(&mut self, member: Box<Member>) {
        self.staff.seat(member);
        self.glances = self.staff.glances();
        self.turn();
    }

    /// Notes that a worker could not be started.
    pub(super) fn not_started(&mut self, id: WorkerId, error: Error) {
        self.staff.remove(id);
        self.tally
            .restarted(id.index as usize, RestartReason::NotStarted);
        self.reason = Some(Arc::new(error));
        self.tell(Event::Gone {
            worker: id,
            again: false,
        });
    }

    /// Notes that the process of a worker has ended.
    pub(super) fn ended(&mut self, id: WorkerId, how: Result<Ended, JoinError>) {
        let now = futex::since_boot();
        let Some(mut member) = self.staff.remove(id) else {
            return;
        };
        self.glances = self.staff.glances();
        self.retiring.retain(|(retiring, _)| *retiring != id);
        let work = (&mut self.schedule, &mut self.jobs, &mut self.tally);
        collect(&self.config, work, &mut member, now);
        let claims = member.offered.iter().filter_map(|(number, task)| {
            let began = member.lane.claimed(*number)?;
            Some((*task, began))
        });
        let guilty = claims.last();
        if let Some((task, began)) = guilty {
            let worker = id;
            let claimed = Event::Claimed {
                worker,
                task,
                began,
            };
            self.schedule.tell(claimed, now);
        }
        let reason = match &how {
            _ if member.killed.is_some() => RestartReason::Killed,
            _ if member.ready.is_none() => RestartReason::NotStarted,
            Ok(_) => RestartReason::Retired,
            Err(error) => RestartReason::Lost(error.kind()),
        };
        self.tally.restarted(id.index as usize, reason);
        let again = match (guilty, how) {
            (Some((task, _)), Err(error)) => self.lose(&member, task, error),
            // It could not answer.
            (Some((task, _)), Ok(how)) => self.fall_silent(&member, task, how),
            (None, how) if member.ready.is_none() && member.killed.is_none() => {
                self.reason = Some(Arc::new(why_not_ready(how)));
                false
            }
            _ => false,
        };
        self.schedule.tell(Event::Gone { worker: id, again }, now);
        self.act(now);
        // It was not resolved by the end of its worker, so it is to be tried again.
        if let (Some((task, _)), Some((_, error))) = (guilty, self.lost.take())
            && let Some(job) = self.jobs.get_mut(task)
        {
            job.failed = Some(error);
        }
    }

    /// Keeps the error of a job whose worker has ended by itself without an answer.
    fn fall_silent(&mut self, member: &Member, task: TaskId, how: Ended) -> bool {
        let Some(job) = self.jobs.get_mut(task) else {
            return false;
        };
        job.attempts += 1;
        let error = Error::new(ErrorKind::EndedEarly, "its worker could not answer");
        let error = match how {
            Ok(()) => error,
            Err(reason) => error.because(reason.into_error()),
        };
        let by = (member.about.name.clone(), member.about.id);
        let error = JoinError::of_job(job.info(), by, Cause::Unsendable(error));
        let again = job.may_be_tried_again() && self.config.may_retry(&error);
        self.lost = Some((member.id, error));
        again
    }

    /// Keeps the error of a job whose worker was lost. Returns whether it may be tried again.
    fn lose(&mut self, member: &Member, task: TaskId, error: JoinError) -> bool {
        let Some(job) = self.jobs.get_mut(task) else {
            return false;
        };
        job.attempts += 1;
        let cause = match member.killed {
            Some(Why::TimedOut) => job.wish.timeout.map(Cause::TimedOut),
            Some(Why::Cancelled | Why::Stopped | Why::Unresponsive) => Some(Cause::Killed),
            None => None,
        };
        let error = error.for_job(job.info(), cause);
        let again = job.may_be_tried_again() && self.config.may_retry(&error);
        self.lost = Some((member.id, error));
        again
    }

    /// Lets the scheduler decide, and does what it decides, until nothing is left to do.
    pub(super) fn act(&mut self, now: Duration) {
        loop {
            self.schedule.step(now);
            let mut actions = mem::take(&mut self.actions);
            actions.extend(self.schedule.actions());
            if actions.is_empty() {
                self.actions = actions;
                break;
            }
            for action in actions.drain(..) {
                self.act_on(action, now);
            }
            self.actions = actions;
        }
        for member in self.staff.iter_mut().filter(|member| member.is_unrung) {
            member.is_unrung = false;
            member.lane.ring();
        }
    }

    fn act_on(&mut self, action: Action, now: Duration) {
        match action {
            Action::Start(id) => {
                self.staff.starts(id);
                self.starts.push_back(id);
            }
            Action::Offer(id, task) => {
                if let Some(member) = self.staff.get(id) {
                    member.waiting.push_back(task);
                    offer((&mut self.schedule, &mut self.jobs), member, now);
                }
            }
            Action::Withdraw(id, task) => self.withdraw(id, task, now),
            Action::Look(worker) => {
                if let Some(member) = self.staff.get(worker) {
                    for (number, task) in &member.offered {
                        let Some(began) = member.lane.claimed(*number) else {
                            break;
                        };
                        let task = *task;
                        let claimed = Event::Claimed {
                            worker,
                            task,
                            began,
                        };
                        self.schedule.tell(claimed, now);
                    }
                }
            }
            Action::Retire(id) => {
                if let Some(member) = self.staff.get(id) {
                    member.lane.close();
                    self.retiring.push_back((id, now.saturating_add(PARTING)));
                }
            }
            Action::Kill(id, why) => self.staff.kill(id, why),
            Action::Resolve(task, end) => self.resolve(task, end),
        }
    }

    fn withdraw(&mut self, worker: WorkerId, task: TaskId, now: Duration) {
        let Some(member) = self.staff.get(worker) else {
            return;
        };
        let withdrawn = Event::Withdrawn { worker, task };
        if let Some(place) = member.waiting.iter().position(|waiting| *waiting == task) {
            member.waiting.remove(place);
            self.schedule.tell(withdrawn, now);
        }
        let Some(place) = member
            .offered
            .iter()
            .rposition(|(_, offered)| *offered == task)
        else {
            return;
        };
        match member.lane.withdraw(member.offered[place].0) {
            Withdrawal::Withdrawn => {
                member.offered.remove(place);
                self.schedule.tell(withdrawn, now);
            }
            Withdrawal::Claimed(began) => {
                let claimed = Event::Claimed {
                    worker,
                    task,
                    began,
                };
                self.schedule.tell(claimed, now);
            }
        }
    }

    fn resolve(&mut self, task: TaskId, end: End) {
        let Some(job) = self.jobs.get_mut(task) else {
            return;
        };
        let failed = match end {
            // What has come of it stays where it is.
            End::Answered if job.done.is_some() => None,
            End::Lost(id) | End::Poisonous(id) | End::TimedOut(id) | End::Killed(id) => {
                let lost = self.lost.take().filter(|(lost, _)| *lost == id);
                let is_poisonous = matches!(end, End::Poisonous(_));
                Some(match lost {
                    Some((_, error)) if is_poisonous => error.set_aside(),
                    Some((_, error)) => error,
                    None => job.unanswered(&self.config.name, End::Stopped, None),
                })
            }
            end => Some(job.unanswered(&self.config.name, end, self.reason.as_ref())),
        };
        if let Some(error) = failed {
            job.done = Some(Done::Failed(error));
        }
        match &job.done {
            Some(Done::Failed(error)) => self.tally.failed(error),
            Some(Done::Answered(answer)) => match answer.failed_as() {
                None => self.tally.done += 1,
                Some(kind) => *self.tally.failed.entry(kind).or_default() += 1,
            },
            None => {}
        }
        self.jobs.resolve(task);
    }
}

/// Takes the answers of a worker.
fn collect(
    config: &Config,
    (schedule, jobs, tally): (&mut Schedule, &mut Jobs, &mut Tally),
    member: &mut Member,
    now: Duration,
) {
    if member.ready.is_none() && member.lane.is_ready() {
        member.ready = Some(now);
        schedule.tell(Event::Ready(member.id), now);
    }
    let mut has_taken = false;
    while let Some(head) = member.lane.next_answer() {
        has_taken = true;
        let task = answered(&mut member.offered, head.number);
        let mut job = task.and_then(|task| Some((task, jobs.get_mut(task)?)));
        let bytes = job.as_mut().map(|(_, job)| job.spare_bytes());
        let answer = member.lane.answer(head, bytes.unwrap_or_default());
        let took = Duration::from_nanos(head.detail);
        member.answered += 1;
        member.busy += took;
        if let Some((task, job)) = job {
            tally.answered(job.submitted, answer.began, took);
            job.attempts += 1;
            let content = Answer {
                outcome: head.kind,
                content: answer.parcel.map(Content::Packed),
                by: Arc::clone(&member.about),
                loan: answer.loan,
            };
            let again = judge(config, job, content);
            jobs.hold(task);
            let answered = Event::Answered {
                worker: member.id,
                task,
                took,
                again,
            };
            schedule.tell(answered, now);
        }
        if answer.is_tired {
            schedule.tell(Event::Tired(member.id), now);
        }
    }
    // The worker may wait for room, if something was taken.
    member.is_unrung |= has_taken;
    if !member.waiting.is_empty() {
        offer((schedule, jobs), member, now);
    }
}

/// Takes a task out of those that are offered. They are answered in the order in which they were
/// offered, so it is usually the first.
fn answered(offered: &mut VecDeque<(u64, TaskId)>, number: u64) -> Option<TaskId> {
    let place = offered.iter().position(|(offered, _)| *offered == number)?;
    let (_, task) = match place {
        0 => offered.pop_front()?,
        _ => offered.remove(place)?,
    };
    Some(task)
}

/// Notes what came of a job. Returns whether it may be tried again.
fn judge(config: &Config, job: &mut Entry, answer: Answer) -> bool {
    if answer.is_value() || !job.may_be_tried_again() {
        job.done = Some(Done::Answered(answer));
        return false;
    }
    // It is no value: see above.
    if let Err(error) = answer.open(job.info(), |_| Ok(())) {
        if config.may_retry(&error) {
            job.failed = Some(error);
            return true;
        }
        job.done = Some(Done::Failed(error));
    }
    false
}

/// Puts tasks into the lane of a worker, as far as there is room.
fn offer((schedule, jobs): (&mut Schedule, &mut Jobs), member: &mut Member, now: Duration) {
    while let Some(task) = member.waiting.front().copied() {
        let Some(job) = jobs.get_mut(task) else {
            member.waiting.pop_front();
            continue;
        };
        match member.lane.offer((job.id, job.offset), &job.arguments) {
            Ok(Some(number)) => {
                member.waiting.pop_front();
                member.offered.push_back((number, task));
                member.is_unrung = true;
            }
            Ok(None) => return,
            Err(error) => {
                member.waiting.pop_front();
                let by = (member.about.name.clone(), member.about.id);
                let error = JoinError::of_job(job.info(), by, Cause::Arguments(error));
                job.done = Some(Done::Failed(error));
                let answered = Event::Answered {
                    worker: member.id,
                    task,
                    took: Duration::ZERO,
                    again: false,
                };
                schedule.tell(answered, now);
            }
        }
    }
}

/// Returns why a worker has ended before it was ready.
fn why_not_ready(how: Result<Ended, JoinError>) -> Error {
    match how {
        Ok(Ok(())) => Error::new(ErrorKind::EndedEarly, "a worker ended before it was ready"),
        Ok(Err(error)) => {
            Error::new(ErrorKind::Init, "a worker could not begin").because(error.into_error())
        }
        Err(error) => {
            let what = "a worker was lost before it was ready, in its initializer if it has one";
            Error::new(ErrorKind::Init, what).because(error)
        }
    }
}
