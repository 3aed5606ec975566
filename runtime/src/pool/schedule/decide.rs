//! What follows from the events and from the time.

use super::{
    Schedule, State,
    task::{Interest, NONE, Stage},
    terms::{Action, Moment, NEVER, TaskId, Why},
    worker::Phase,
};
use std::{cmp::Reverse, time::Duration};

/// The shortest time after which the driver looks whether an offered task has begun.
const SHORTEST_LOOK: Duration = Duration::from_millis(1);

impl Schedule {
    /// Decides what follows from all that was submitted and told, and from the time.
    pub(crate) fn step(&mut self, now: Moment) {
        self.withdraw_unwanted();
        self.settle(now);
        if now >= self.watch_at {
            self.watch(now);
        }
        if now >= self.old_at {
            self.tire_old(now);
        }
        if now >= self.stall_at {
            self.watch_stalls(now);
        }
        self.settle(now);
        self.offer(now);
        self.settle(now);
        self.tire_idle(now);
        self.balance();
        self.start_workers(now);
        // A slow worker is let go when another one was started in its place.
        self.tire_idle(now);
    }

    /// Takes back the tasks that were cancelled after they were offered.
    fn withdraw_unwanted(&mut self) {
        while let Some(id) = self.unwanted.pop() {
            let task = self.tasks.find(id);
            if task.is_some_and(|task| task.stage == Stage::Offered) {
                self.withdraw(id.index);
            }
        }
    }

    /// Decides about each worker that has changed.
    fn settle(&mut self, now: Moment) {
        while let Some(index) = self.crew.changed.pop() {
            self.settle_one(index, now);
        }
        if self.state == State::Closed && self.tasks.len() == 0 {
            while let Some(index) = self.crew.idle.pop().or_else(|| self.crew.spare.pop()) {
                self.retire(index);
                self.settle_one(index, now);
            }
        }
    }

    fn settle_one(&mut self, index: u32, now: Moment) {
        let phase = self.crew.get(index).phase;
        if self.state == State::Stopped && !matches!(phase, Phase::Killed(..) | Phase::Vacant) {
            self.kill(index, None, Why::Stopped);
        }
        if let Phase::Condemned { .. } = self.crew.get(index).phase {
            self.execute(index);
        }
        if self.crew.get(index).phase == Phase::Ready && self.is_worn(index) {
            self.crew.set_phase(index, Phase::Tired);
        }
        self.condemn_unwanted(index);
        if self.crew.get(index).phase == Phase::Tired {
            self.relieve(index);
        }
        self.note_stall(index, now);
        if self.crew.sort(index, self.deepest(index), now)
            && let Some(timeout) = self.plan.idle_timeout
        {
            let at = if self.crew.get(index).stall.is_slow {
                &mut self.spare_at
            } else {
                &mut self.rest_at
            };
            *at = now.saturating_add(timeout).min(*at);
        }
    }

    /// Returns how many tasks a worker may have at once, however short they are.
    fn deepest(&self, index: u32) -> u32 {
        let answered = self.crew.get(index).answered;
        let left = |most: u32| most.saturating_sub(answered).max(1);
        match self.plan.tasks_per_worker {
            _ if !self.plan.ahead => 1,
            most => most.map_or(u32::MAX, left),
        }
    }

    /// Whether a worker has answered as many tasks as it may, or there may be no such worker.
    fn is_worn(&self, index: u32) -> bool {
        let answered = self.crew.get(index).answered;
        let most = self.plan.tasks_per_worker;
        most.is_some_and(|most| answered >= most.max(1)) || index as usize >= self.plan.most
    }

    /// Has a worker killed if it runs a task that was cancelled even though it may run.
    fn condemn_unwanted(&mut self, index: u32) {
        let worker = self.crew.get(index);
        if worker.phase.is_watched()
            && worker.running != NONE
            && self.tasks.get(worker.running).interest == Interest::Death
        {
            self.condemn(index, Why::Cancelled);
        }
    }

    /// Has a worker killed for the task that it runs. First all that it could claim next is
    /// withdrawn, so that no other task is lost.
    fn condemn(&mut self, index: u32, why: Why) {
        let worker = self.crew.get(index);
        let phase = Phase::Condemned {
            task: Some(self.tasks.id(worker.running)),
            why,
            was_tired: worker.phase == Phase::Tired,
        };
        self.crew.set_phase(index, phase);
        self.withdraw_all(index);
        self.execute(index);
    }

    /// Kills a condemned worker when it can claim nothing more. Spares it if it has answered the
    /// task, or has claimed another one after it. Without a task: if it has claimed any.
    pub(super) fn execute(&mut self, index: u32) {
        let worker = self.crew.get(index);
        let Phase::Condemned {
            task,
            why,
            was_tired,
        } = worker.phase
        else {
            return;
        };
        let running = Some(worker.running).filter(|running| *running != NONE);
        let is_spared = match task {
            Some(_) => running.map(|running| self.tasks.id(running)) != task,
            None => worker.stall.has_moved,
        };
        if is_spared {
            let phase = if was_tired {
                Phase::Tired
            } else {
                Phase::Ready
            };
            // It may have become too old meanwhile.
            self.old_at = self.old_at.min(worker.old_at);
            self.crew.set_phase(index, phase);
        } else if worker.offered + worker.withdrawing == 0 {
            self.kill(index, task, why);
        }
    }

    /// Takes back what a tired worker has not claimed. Lets it end when it has answered the rest.
    fn relieve(&mut self, index: u32) {
        self.withdraw_all(index);
        if self.crew.get(index).lane.is_empty() {
            self.retire(index);
        }
    }

    fn retire(&mut self, index: u32) {
        self.crew.set_phase(index, Phase::Retired);
        self.actions.push(Action::Retire(self.crew.id(index)));
    }

    /// Has the workers killed whose task has run for too long. Asks the driver to look at those
    /// whose task would run for too long if it had begun when it was offered.
    fn watch(&mut self, now: Moment) {
        self.watch_at = NEVER;
        for index in self.crew.indices() {
            let worker = self.crew.get(index);
            if !worker.phase.is_watched() || worker.lane.is_empty() {
                continue;
            }
            let over = self.over_at(worker.running);
            if over <= now {
                self.condemn(index, Why::TimedOut);
            } else {
                let next = self.look(index, now).min(over);
                self.watch_at = self.watch_at.min(next);
            }
        }
    }

    /// Returns when a task that runs has run for too long.
    fn over_at(&self, task: u32) -> Moment {
        if task == NONE {
            return NEVER;
        }
        let task = self.tasks.get(task);
        let over = |timeout| task.since.saturating_add(timeout);
        task.timeout.map_or(NEVER, over)
    }

    fn kill(&mut self, index: u32, task: Option<TaskId>, why: Why) {
        self.crew.set_phase(index, Phase::Killed(task, why));
        self.actions.push(Action::Kill(self.crew.id(index), why));
    }

    /// Takes back all that a worker has not claimed. Begins with the last one, because the worker
    /// begins with the first; so the tasks come back to the front of the queue in their order.
    pub(super) fn withdraw_all(&mut self, index: u32) {
        let mut next = self.crew.get(index).lane.last();
        while let Some(task) = next.filter(|_| self.crew.get(index).offered > 0) {
            next = self.tasks.before(task);
            if self.tasks.get(task).stage == Stage::Offered {
                self.withdraw(task);
            }
        }
    }

    /// Takes back a task that is offered.
    fn withdraw(&mut self, index: u32) {
        self.set_stage(index, Stage::Withdrawing);
        let worker = self.crew.id(self.tasks.get(index).worker);
        let action = Action::Withdraw(worker, self.tasks.id(index));
        self.actions.push(action);
    }

    /// Asks the driver to look at a worker if it is time. Returns when it is time again.
    fn look(&mut self, index: u32, now: Moment) -> Moment {
        let (mut next, mut is_time) = (NEVER, false);
        let mut place = self.crew.get(index).lane.first();
        while let Some(offered) = place {
            place = self.tasks.after(offered);
            let task = self.tasks.get_mut(offered);
            let Some(timeout) = task.timeout.filter(|_| task.stage != Stage::Running) else {
                continue;
            };
            if look_at(task.since, timeout) <= now {
                // If it has not begun yet, its time begins now at the earliest.
                task.since = now;
                is_time = true;
            }
            next = next.min(look_at(task.since, timeout));
        }
        if is_time {
            self.actions.push(Action::Look(self.crew.id(index)));
        }
        next
    }

    fn tire_old(&mut self, now: Moment) {
        self.old_at = NEVER;
        for index in self.crew.indices() {
            let worker = self.crew.get(index);
            if worker.phase != Phase::Ready {
                continue;
            }
            if worker.old_at <= now {
                self.crew.set_phase(index, Phase::Tired);
            } else {
                self.old_at = self.old_at.min(worker.old_at);
            }
        }
    }

    /// Lets the workers above the least number go that have been idle for too long, the slow ones
    /// first, then those that have been idle for the longest time.
    fn tire_idle(&mut self, now: Moment) {
        if now >= self.spare_at && self.surplus() > 0 {
            self.spare_at = self.tire(true, now);
            self.settle(now);
        }
        if now >= self.rest_at && self.usual_surplus() > 0 {
            self.rest_at = self.tire(false, now);
            self.settle(now);
        }
    }

    /// Lets slow workers go, or the others. Returns when the next one has been idle for too long.
    fn tire(&mut self, are_slow: bool, now: Moment) -> Moment {
        let Some(timeout) = self.plan.idle_timeout else {
            return NEVER;
        };
        let crew = &self.crew;
        let set = if are_slow { &crew.spare } else { &crew.idle };
        let mut idle: Vec<_> = set.iter().collect();
        idle.sort_by_key(|index| (crew.get(*index).idle_since, Reverse(*index)));
        let surplus = if are_slow {
            self.surplus()
        } else {
            self.usual_surplus()
        };
        for (place, index) in idle.into_iter().enumerate() {
            let rest_at = self.crew.get(index).idle_since.saturating_add(timeout);
            if rest_at > now || place >= surplus {
                return rest_at;
            }
            self.crew.set_phase(index, Phase::Tired);
        }
        NEVER
    }

    /// Offers what waits: first to those that have nothing to do, then ahead. A slow worker is
    /// offered one task when no other worker can take it.
    fn offer(&mut self, now: Moment) {
        if self.reclaim() {
            return;
        }
        while let Some(task) = self.queue.first()
            && let Some(worker) = self.crew.idle.first()
        {
            self.crew.idle.set(worker, false);
            self.offer_one(task, worker, now);
        }
        let mut from = 0;
        while let Some(task) = self.queue.first()
            && !self.crew.open.is_empty()
        {
            // One to each, again and again.
            from = match self.crew.open.next(from) {
                Some(worker) => {
                    self.offer_one(task, worker, now);
                    worker + 1
                }
                None => 0,
            };
        }
        while !self.crew.spare.is_empty()
            && let Some(task) = self.queue.first()
            && let Some(worker) = self.crew.spare.first()
        {
            self.crew.spare.set(worker, false);
            self.offer_one(task, worker, now);
        }
    }

    fn offer_one(&mut self, index: u32, worker: u32, now: Moment) {
        self.queue.remove(&mut self.tasks, index);
        self.enter(index, worker);
        let has_room = self.crew.get(worker).has_room();
        self.crew.open.set(worker, has_room);
        let task = self.tasks.get_mut(index);
        task.since = now;
        if let Some(timeout) = task.timeout {
            self.watch_at = self.watch_at.min(look_at(now, timeout));
        }
        let action = Action::Offer(self.crew.id(worker), self.tasks.id(index));
        self.actions.push(action);
    }

    /// Takes back what waits at a worker while another one has nothing to do.
    fn balance(&mut self) {
        let mut wanted = self
            .crew
            .idle
            .len()
            .saturating_sub(self.withdrawing as usize);
        while wanted > 0 && !self.crew.loaded.is_empty() {
            let load = |index: &u32| {
                let worker = self.crew.get(*index);
                (worker.stall.is_slow, worker.lane.len())
            };
            let Some(index) = self.crew.loaded.iter().max_by_key(load) else {
                return;
            };
            let lane = &self.crew.get(index).lane;
            let is_open = |task: &u32| self.tasks.get(*task).stage == Stage::Offered;
            let last = lane.iter_back(&self.tasks).find(is_open);
            let Some(task) = last else { return };
            self.withdraw(task);
            self.crew.resort_loaded(index);
            wanted -= 1;
        }
    }

    fn start_workers(&mut self, now: Moment) {
        while self.wants_worker() && now >= self.start_at {
            let id = self.crew.add(now);
            self.actions.push(Action::Start(id));
        }
    }

    /// Whether a worker has to be started, as soon as that may be tried.
    pub(super) fn wants_worker(&self) -> bool {
        let has_place = (self.crew.vacant() as usize) < self.plan.most;
        has_place && self.crew.usual() < self.wanted()
    }

    /// Returns how many workers there should be.
    fn wanted(&self) -> usize {
        let least = match self.state {
            State::Stopped => return 0,
            State::Open if !self.has_given_up() => self.plan.least,
            State::Open | State::Closed => 0,
        };
        if self.crew.idle.is_empty() {
            self.tasks.len().clamp(least, self.plan.most)
        } else {
            least
        }
    }

    /// Returns how many workers there are above the least number.
    pub(super) fn surplus(&self) -> usize {
        let least = match self.state {
            State::Open => self.plan.least,
            State::Closed | State::Stopped => 0,
        };
        self.crew.living().saturating_sub(least)
    }

    /// Returns how many workers there are above the least number, without the slow ones.
    pub(super) fn usual_surplus(&self) -> usize {
        self.surplus().saturating_sub(self.crew.slow.len())
    }
}

/// Returns when the driver looks whether a task has begun that had not begun at this moment.
fn look_at(since: Moment, timeout: Duration) -> Moment {
    since.saturating_add(timeout.max(SHORTEST_LOOK))
}
