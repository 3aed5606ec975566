//! The workers, and which of them can be offered tasks.

use super::{
    hesitation::Stall,
    pace::Pace,
    set::Set,
    task::{List, NONE},
    terms::{Moment, NEVER, TaskId, Why, WorkerId},
};

/// A worker, or a vacant place for one.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) generation: u32,
    pub(super) phase: Phase,
    /// Its tasks, the oldest offer first. It claims them in this order, and answers them in it.
    pub(super) lane: List,
    /// How many of its tasks are offered, and the driver does not try to withdraw them.
    pub(super) offered: u32,
    /// How many of its tasks the driver tries to withdraw.
    pub(super) withdrawing: u32,
    /// The last task that it is known to have claimed, or `NONE`. This one runs; of those that it
    /// claimed before, the answer was not seen yet.
    pub(super) running: u32,
    /// How many tasks it has answered.
    pub(super) answered: u32,
    /// Whether it has begun a task.
    pub(super) has_worked: bool,
    /// Whether it has asked to be replaced.
    pub(super) has_quit: bool,
    pub(super) stall: Stall,
    pub(super) pace: Pace,
    /// How many tasks it may have at once.
    pub(super) reach: u32,
    pub(super) started: Moment,
    /// When it is too old.
    pub(super) old_at: Moment,
    /// Since when it has nothing to do.
    pub(super) idle_since: Moment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// There is no worker.
    Vacant,
    Starting,
    Ready,
    /// Nothing more is offered to it. It ends when it has answered what it has claimed.
    Tired,
    /// It was let go, and ends by itself.
    Retired,
    /// It is killed for a task when it can claim no other one. If it answers the task before, it
    /// lives on. Without a task, it is killed because it claims nothing, unless it does so before.
    Condemned {
        task: Option<TaskId>,
        why: Why,
        was_tired: bool,
    },
    /// It was killed, for this task or for none.
    Killed(Option<TaskId>, Why),
}

impl Phase {
    /// Whether it can do tasks that wait, now or soon.
    pub(super) fn is_living(self) -> bool {
        matches!(self, Self::Starting | Self::Ready)
    }

    /// Whether what it runs may be the reason to kill it.
    pub(super) fn is_watched(self) -> bool {
        matches!(self, Self::Ready | Self::Tired)
    }
}

impl Worker {
    fn new(generation: u32, phase: Phase, now: Moment) -> Self {
        Self {
            generation,
            phase,
            lane: List::EMPTY,
            offered: 0,
            withdrawing: 0,
            running: NONE,
            answered: 0,
            has_worked: false,
            has_quit: false,
            stall: Stall::NOT,
            pace: Pace::default(),
            reach: 0,
            started: now,
            old_at: NEVER,
            idle_since: now,
        }
    }

    /// Whether another worker may take one of its tasks. It keeps what it runs. It keeps what it is
    /// about to begin, too, unless it is slow.
    fn can_spare(&self) -> bool {
        self.offered > 0 && (self.lane.len() - self.withdrawing > 1 || self.stall.is_slow)
    }

    pub(super) fn has_room(&self) -> bool {
        self.lane.len() < self.reach
    }
}

/// All workers, by index.
///
/// What is known about all of them together is kept in sets and counts, so that nothing is looked
/// for among them. After a change of a worker it is put into `changed`, and sorted anew before the
/// sets and counts are used.
#[derive(Debug, Default)]
pub(super) struct Crew {
    workers: Vec<Worker>,
    /// No lower index is vacant.
    vacant: u32,
    len: usize,
    living: usize,
    /// How many tasks they may have at once.
    reach: usize,
    /// The workers that have changed.
    pub(super) changed: Set,
    /// The workers that are ready and have nothing to do. No slow ones.
    pub(super) idle: Set,
    /// The workers that have something to do and room for more. No slow ones.
    pub(super) open: Set,
    /// The workers that are ready and slow.
    pub(super) slow: Set,
    /// Those of them that have nothing to do.
    pub(super) spare: Set,
    /// The workers that have an offer and run nothing.
    pub(super) waiting: Set,
    /// The workers that can spare a task.
    pub(super) loaded: Set,
}

impl Crew {
    pub(super) fn get(&self, index: u32) -> &Worker {
        &self.workers[index as usize]
    }

    pub(super) fn get_mut(&mut self, index: u32) -> &mut Worker {
        &mut self.workers[index as usize]
    }

    /// Returns the worker that has this number, if it is there.
    pub(super) fn find(&self, id: WorkerId) -> Option<&Worker> {
        let worker = self.workers.get(id.index as usize)?;
        (worker.generation == id.generation && worker.phase != Phase::Vacant).then_some(worker)
    }

    pub(super) fn id(&self, index: u32) -> WorkerId {
        WorkerId {
            index,
            generation: self.get(index).generation,
        }
    }

    /// Returns all indices, those included that are vacant.
    pub(super) fn indices(&self) -> std::ops::Range<u32> {
        0..u32::try_from(self.workers.len()).expect("each index is a u32")
    }

    /// Returns how many workers there are that can do tasks that wait, now or soon.
    pub(super) fn living(&self) -> usize {
        self.living
    }

    /// Returns how many of the living workers are not slow.
    pub(super) fn usual(&self) -> usize {
        self.living.saturating_sub(self.slow.len())
    }

    /// Returns how many tasks the workers may have at once.
    pub(super) fn reach(&self) -> usize {
        self.reach
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the lowest index that is vacant.
    pub(super) fn vacant(&self) -> u32 {
        self.vacant
    }

    /// Adds a worker, which gets the lowest index.
    pub(super) fn add(&mut self, now: Moment) -> WorkerId {
        let index = self.vacant;
        if index as usize == self.workers.len() {
            self.workers.push(Worker::new(0, Phase::Vacant, now));
        }
        let generation = self.get(index).generation;
        *self.get_mut(index) = Worker::new(generation, Phase::Vacant, now);
        self.len += 1;
        self.set_phase(index, Phase::Starting);
        self.set_reach(index, 1);
        let rest = &self.workers[index as usize..];
        let taken = rest
            .iter()
            .take_while(|worker| worker.phase != Phase::Vacant);
        self.vacant += u32::try_from(taken.count()).expect("each index is a u32");
        WorkerId { index, generation }
    }

    /// Removes a worker that has no tasks.
    pub(super) fn remove(&mut self, index: u32) {
        self.len -= 1;
        self.set_phase(index, Phase::Vacant);
        self.sort(index, u32::MAX, Moment::ZERO);
        self.changed.set(index, false);
        self.waiting.set(index, false);
        let worker = self.get_mut(index);
        worker.generation = worker.generation.wrapping_add(1);
        self.vacant = self.vacant.min(index);
    }

    pub(super) fn set_phase(&mut self, index: u32, phase: Phase) {
        let worker = self.get_mut(index);
        let was_living = std::mem::replace(&mut worker.phase, phase).is_living();
        self.living = self.living + usize::from(phase.is_living()) - usize::from(was_living);
        self.changed.insert(index);
    }

    /// Notes that all workers may have to do something else from now on.
    pub(super) fn change_all(&mut self) {
        for index in self.indices() {
            self.changed.insert(index);
        }
    }

    /// Puts a worker into the sets that it belongs to. It may have `most` tasks at once. Returns
    /// whether it has nothing to do from now on.
    pub(super) fn sort(&mut self, index: u32, most: u32, now: Moment) -> bool {
        let worker = self.get(index);
        let (is_ready, is_empty) = (worker.phase == Phase::Ready, worker.lane.is_empty());
        let is_slow = is_ready && worker.stall.is_slow;
        let reach = match worker.phase {
            Phase::Ready if is_slow => 1,
            Phase::Ready => worker.pace.depth().min(most),
            Phase::Starting => 1,
            _ => 0,
        };
        let can_spare = is_ready && worker.can_spare();
        self.set_reach(index, reach);
        let is_open = is_ready && !is_slow && !is_empty && self.get(index).has_room();
        self.open.set(index, is_open);
        self.loaded.set(index, can_spare);
        let is_idle = is_ready && is_empty && !is_slow;
        let mut rests = self.idle.set(index, is_idle) && is_idle;
        if is_slow || !self.slow.is_empty() {
            self.slow.set(index, is_slow);
            let is_spare = is_slow && is_empty;
            rests |= self.spare.set(index, is_spare) && is_spare;
        }
        if rests {
            self.get_mut(index).idle_since = now;
        }
        rests
    }

    /// Takes a worker out of those that can spare a task, if it can spare no more.
    pub(super) fn resort_loaded(&mut self, index: u32) {
        let can_spare = self.get(index).can_spare();
        self.loaded.set(index, can_spare);
    }

    fn set_reach(&mut self, index: u32, reach: u32) {
        let worker = self.get_mut(index);
        let before = std::mem::replace(&mut worker.reach, reach);
        self.reach = self.reach + reach as usize - before as usize;
    }
}
