//! The lanes of the workers: how tasks come to them and leave them, and how far they are there.

use super::{
    Schedule,
    task::{NONE, Stage},
    terms::{TaskId, WorkerId},
};

impl Schedule {
    /// Whether a worker has a task, and both are there.
    pub(super) fn has(&self, worker: WorkerId, task: TaskId) -> bool {
        let Some(found) = self.tasks.find(task) else {
            return false;
        };
        found.stage != Stage::Queued
            && found.worker == worker.index
            && self.crew.find(worker).is_some()
    }

    /// Moves a task within the lane of its worker from one stage to another one.
    pub(super) fn set_stage(&mut self, index: u32, stage: Stage) {
        let task = self.tasks.get_mut(index);
        let (before, worker) = (task.stage, task.worker);
        task.stage = stage;
        self.count(worker, before, false);
        self.count(worker, stage, true);
    }

    /// Offers a task to a worker, behind those that it has.
    pub(super) fn enter(&mut self, index: u32, worker: u32) {
        let task = self.tasks.get_mut(index);
        task.worker = worker;
        task.stage = Stage::Offered;
        let lane = &mut self.crew.get_mut(worker).lane;
        lane.push_back(&mut self.tasks, index);
        self.count(worker, Stage::Offered, true);
    }

    /// Takes a task out of the lane of its worker.
    pub(super) fn leave(&mut self, index: u32) {
        let (worker, stage) = (self.tasks.get(index).worker, self.tasks.get(index).stage);
        let lane = &mut self.crew.get_mut(worker).lane;
        lane.remove(&mut self.tasks, index);
        self.count(worker, stage, false);
        if self.crew.get(worker).running == index {
            self.crew.get_mut(worker).running = self.last_claimed(worker);
        }
    }

    /// Counts a task of a worker that has come to a stage, or has left it.
    fn count(&mut self, worker: u32, stage: Stage, has_come: bool) {
        let shift = |count: &mut u32| *count = if has_come { *count + 1 } else { *count - 1 };
        self.crew.changed.insert(worker);
        let worker = self.crew.get_mut(worker);
        match stage {
            Stage::Offered => shift(&mut worker.offered),
            Stage::Withdrawing => {
                shift(&mut worker.withdrawing);
                shift(&mut self.withdrawing);
            }
            Stage::Vacant | Stage::Queued | Stage::Running => return,
        }
        shift(&mut self.offered);
    }

    /// Returns the last task that a worker is known to have claimed, or `NONE`.
    pub(super) fn last_claimed(&self, worker: u32) -> u32 {
        let worker = self.crew.get(worker);
        if worker.offered + worker.withdrawing == worker.lane.len() {
            return NONE;
        }
        let mut lane = worker.lane.iter_back(&self.tasks);
        let found = lane.find(|index| self.tasks.get(*index).stage == Stage::Running);
        found.unwrap_or(NONE)
    }
}
