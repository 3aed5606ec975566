//! The tasks that are not resolved, and the lists that they are in.

use super::terms::{Moment, TaskId, Wish};
use std::time::Duration;

/// The index of no task.
pub(super) const NONE: u32 = u32::MAX;

/// A task, or a vacant place for one.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) turn: u32,
    pub(super) stage: Stage,
    pub(super) interest: Interest,
    /// The index of the worker that has it.
    pub(super) worker: u32,
    /// How many more times it may begin.
    pub(super) retries: u32,
    /// How many workers were lost with it.
    pub(super) cost: u32,
    /// Its neighbours in its list.
    before: u32,
    after: u32,
    pub(super) timeout: Option<Duration>,
    /// When it began. Before that: when it was known last that it had not begun.
    pub(super) since: Moment,
}

/// How far a task has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// There is no task.
    Vacant,
    Queued,
    Offered,
    /// It is offered, and the driver tries to withdraw it.
    Withdrawing,
    Running,
}

/// What is wanted of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Interest {
    Value,
    /// It need not begin.
    Nothing,
    /// It need not begin, and if it runs, its worker is killed.
    Death,
}

impl Task {
    const VACANT: Self = Self {
        turn: 0,
        stage: Stage::Vacant,
        interest: Interest::Nothing,
        worker: 0,
        retries: 0,
        cost: 0,
        before: NONE,
        after: NONE,
        timeout: None,
        since: Moment::ZERO,
    };

    pub(super) fn new(turn: u32, wish: Wish, now: Moment) -> Self {
        Self {
            turn,
            stage: Stage::Queued,
            interest: Interest::Value,
            retries: wish.retries,
            timeout: wish.timeout,
            since: now,
            ..Self::VACANT
        }
    }
}

/// All tasks that are not resolved, by index.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    tasks: Vec<Task>,
    len: usize,
}

impl Tasks {
    /// Returns how many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds a task. Returns whether its index was free.
    pub(super) fn insert(&mut self, index: u32, task: Task) -> bool {
        let place = index as usize;
        if place >= self.tasks.len() {
            self.tasks.resize(place + 1, Task::VACANT);
        }
        let is_free = self.tasks[place].stage == Stage::Vacant;
        if is_free {
            self.tasks[place] = task;
            self.len += 1;
        }
        is_free
    }

    /// Frees the index of a task that is in no list. Returns what its number was.
    pub(super) fn remove(&mut self, index: u32) -> TaskId {
        self.get_mut(index).stage = Stage::Vacant;
        self.len -= 1;
        self.id(index)
    }

    /// Returns the task that has this number, if it is not resolved.
    pub(super) fn find(&self, id: TaskId) -> Option<&Task> {
        let task = self.tasks.get(id.index as usize)?;
        (task.turn == id.turn && task.stage != Stage::Vacant).then_some(task)
    }

    pub(super) fn get(&self, index: u32) -> &Task {
        &self.tasks[index as usize]
    }

    pub(super) fn get_mut(&mut self, index: u32) -> &mut Task {
        &mut self.tasks[index as usize]
    }

    /// Returns the task that is before this one in its list.
    pub(super) fn before(&self, index: u32) -> Option<u32> {
        Some(self.get(index).before).filter(|before| *before != NONE)
    }

    /// Returns the task that is after this one in its list.
    pub(super) fn after(&self, index: u32) -> Option<u32> {
        Some(self.get(index).after).filter(|after| *after != NONE)
    }

    pub(super) fn id(&self, index: u32) -> TaskId {
        TaskId {
            index,
            turn: self.get(index).turn,
        }
    }
}

/// A list of tasks, which are linked to each other. A task is in one list at most.
#[derive(Debug)]
pub(super) struct List {
    first: u32,
    last: u32,
    len: u32,
}

impl List {
    pub(super) const EMPTY: Self = Self {
        first: NONE,
        last: NONE,
        len: 0,
    };

    pub(super) fn len(&self) -> u32 {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn first(&self) -> Option<u32> {
        (self.first != NONE).then_some(self.first)
    }

    pub(super) fn last(&self) -> Option<u32> {
        (self.last != NONE).then_some(self.last)
    }

    pub(super) fn push_back(&mut self, tasks: &mut Tasks, index: u32) {
        let task = tasks.get_mut(index);
        (task.before, task.after) = (self.last, NONE);
        if self.last == NONE {
            self.first = index;
        } else {
            tasks.get_mut(self.last).after = index;
        }
        self.last = index;
        self.len += 1;
    }

    pub(super) fn push_front(&mut self, tasks: &mut Tasks, index: u32) {
        let task = tasks.get_mut(index);
        (task.before, task.after) = (NONE, self.first);
        if self.first == NONE {
            self.last = index;
        } else {
            tasks.get_mut(self.first).before = index;
        }
        self.first = index;
        self.len += 1;
    }

    /// Removes a task, which must be in this list.
    pub(super) fn remove(&mut self, tasks: &mut Tasks, index: u32) {
        let task = tasks.get(index);
        let (before, after) = (task.before, task.after);
        if before == NONE {
            self.first = after;
        } else {
            tasks.get_mut(before).after = after;
        }
        if after == NONE {
            self.last = before;
        } else {
            tasks.get_mut(after).before = before;
        }
        self.len -= 1;
    }

    #[cfg(test)]
    pub(super) fn iter<'a>(&self, tasks: &'a Tasks) -> impl Iterator<Item = u32> + use<'a> {
        std::iter::successors(self.first(), |index| tasks.after(*index))
    }

    /// Returns the tasks, the last one first.
    pub(super) fn iter_back<'a>(&self, tasks: &'a Tasks) -> impl Iterator<Item = u32> + use<'a> {
        std::iter::successors(self.last(), |index| tasks.before(*index))
    }
}
