//! The workers of a pool, as the pool sees them.

use super::{
    lane::{Glance, PoolEnd},
    schedule::{Moment, TaskId, Why, WorkerId},
    worker::Ended,
};
use crate::process::Child;
use std::{collections::VecDeque, mem, sync::Arc, time::Duration};

/// Who a worker is.
#[derive(Debug)]
pub(super) struct About {
    pub(super) name: String,
    pub(super) id: u32,
}

/// A worker that runs.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: WorkerId,
    pub(super) about: Arc<About>,
    pub(super) lane: PoolEnd,
    pub(super) child: Child<Ended>,
    /// The tasks in the lane without an answer, with their numbers there. The oldest is first.
    pub(super) offered: VecDeque<(u64, TaskId)>,
    /// The tasks for which the lane has no room now.
    pub(super) waiting: VecDeque<TaskId>,
    /// Whether the worker must be told that something has changed in the lane.
    pub(super) is_unrung: bool,
    /// Why this pool has killed it.
    pub(super) killed: Option<Why>,
    /// When it was begun to be started, and when it was ready.
    pub(super) began: Moment,
    pub(super) ready: Option<Moment>,
    /// How many tasks it has answered, and how long these took.
    pub(super) answered: u64,
    pub(super) busy: Duration,
}

impl Member {
    pub(super) fn new(id: WorkerId, lane: PoolEnd, child: Child<Ended>, began: Moment) -> Self {
        let about = Arc::new(About {
            name: child.name().to_owned(),
            id: child.id(),
        });
        Self {
            id,
            about,
            lane,
            child,
            offered: VecDeque::new(),
            waiting: VecDeque::new(),
            is_unrung: false,
            killed: None,
            began,
            ready: None,
            answered: 0,
            busy: Duration::ZERO,
        }
    }

    /// Ends the process at once.
    pub(super) fn kill(&mut self, why: Why) {
        self.killed = Some(why);
        // The process may have ended already. One that has changed its user is left to its
        // lifeline.
        let _ = self.child.kill();
    }
}

/// A place for a worker.
#[derive(Debug, Default)]
enum Seat {
    #[default]
    Free,
    /// The worker is being started. It is to be killed at once if there is a reason.
    Starting(WorkerId, Option<Why>),
    Taken(Box<Member>),
}

/// All workers, by their index.
#[derive(Debug, Default)]
pub(super) struct Staff {
    seats: Vec<Seat>,
}

impl Staff {
    /// Notes that a worker is being started.
    pub(super) fn starts(&mut self, id: WorkerId) {
        let index = id.index as usize;
        if index >= self.seats.len() {
            self.seats.resize_with(index + 1, Seat::default);
        }
        self.seats[index] = Seat::Starting(id, None);
    }

    /// Gives a worker its seat, when its process runs.
    pub(super) fn seat(&mut self, mut member: Box<Member>) {
        let seat = &mut self.seats[member.id.index as usize];
        if let Seat::Starting(id, Some(why)) = *seat
            && id == member.id
        {
            member.kill(why);
        }
        *seat = Seat::Taken(member);
    }

    /// Whether a worker that is being started is to be killed at once.
    pub(super) fn is_doomed(&self, id: WorkerId) -> bool {
        let seat = self.seats.get(id.index as usize);
        matches!(seat, Some(Seat::Starting(starting, Some(_))) if *starting == id)
    }

    /// Takes a worker out, or the place of one that was being started.
    pub(super) fn remove(&mut self, id: WorkerId) -> Option<Box<Member>> {
        let seat = self.seats.get_mut(id.index as usize)?;
        match seat {
            Seat::Taken(member) if member.id == id => match mem::take(seat) {
                Seat::Taken(member) => Some(member),
                _ => None,
            },
            Seat::Starting(starting, _) if *starting == id => {
                *seat = Seat::Free;
                None
            }
            _ => None,
        }
    }

    pub(super) fn get(&mut self, id: WorkerId) -> Option<&mut Member> {
        match self.seats.get_mut(id.index as usize)? {
            Seat::Taken(member) if member.id == id => Some(member),
            _ => None,
        }
    }

    /// Kills a worker, also one that is being started.
    pub(super) fn kill(&mut self, id: WorkerId, why: Why) {
        match self.seats.get_mut(id.index as usize) {
            Some(Seat::Taken(member)) if member.id == id => member.kill(why),
            Some(Seat::Starting(starting, reason)) if *starting == id => *reason = Some(why),
            _ => {}
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.seats.iter().filter_map(|seat| match seat {
            Seat::Taken(member) => Some(&**member),
            _ => None,
        })
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        self.seats.iter_mut().filter_map(|seat| match seat {
            Seat::Taken(member) => Some(&mut **member),
            _ => None,
        })
    }

    /// Returns a look at each lane.
    pub(super) fn glances(&self) -> Arc<[Glance]> {
        self.iter().map(|member| member.lane.glance()).collect()
    }
}
