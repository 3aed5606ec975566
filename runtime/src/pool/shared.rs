//! What all handles of a pool share: its state behind a lock, and how threads wait for it.
//!
//! # Who does the work
//!
//! There is no thread between a caller and the workers. A thread that submits a job writes it to a
//! lane, and a thread that waits for a result takes the results of all workers meanwhile: it leads.
//! One thread leads at a time, and the others sleep until what they wait for is done, or until they
//! are to lead. While nobody waits, the keeper does the same.

use super::{
    config::Config,
    engine::Engine,
    jobs::GroupId,
    lane::{Attention, Glance, Sleeper},
    schedule::TaskId,
};
use crate::{
    channel::Stash,
    sys::{
        fd::{AsFd, BorrowedFd},
        own,
        wait::Patience,
    },
};
use std::{
    cell::Cell,
    collections::BTreeMap,
    io, mem,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, Thread},
    time::{Duration, Instant},
};

#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) attention: Attention,
    pub(super) config: Arc<Config>,
    /// The memory of large arguments, to be used again.
    pub(super) stash: Arc<Stash>,
    /// The number of the process that has made the pool. A copy of it has no workers.
    owner: u64,
    patience: Patience,
}

#[derive(Debug)]
pub(super) struct State {
    engine: Engine,
    /// What the thread waits for that leads, if one does.
    leader: Option<Awaited>,
    /// The threads that sleep until something is done, or until they are to lead.
    followers: BTreeMap<u64, (Thread, Awaited)>,
    next_follower: u64,
    /// When the keeper wakes up by itself.
    keeper_wakes_at: Option<Duration>,
    keeper: Keeper,
    /// How often a thread has begun to lead.
    leads: u64,
    /// Whether the keeper and the starter have ended.
    pub(super) is_over: bool,
    pub(super) has_starter: bool,
}

/// What a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    /// The end of a job.
    Job(TaskId),
    /// The end of any job of a group.
    Group(GroupId),
    /// That one more job may wait for a worker, or that none is taken any more.
    Room,
    /// The end of the pool.
    End,
}

/// What the keeper does when nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeper {
    Sleeps,
    /// It looks after a short time whether a thread still leads now and then.
    StandsBy,
}

/// How the keeper sleeps.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sleep {
    /// Until it is woken, or until this moment.
    Until(Option<Duration>),
    /// The same, but not for long: it looks whether a thread still leads now and then.
    Brief(Option<Duration>),
}

/// The state, locked. When it is unlocked, the threads are woken that wait for what was done.
pub(super) struct Locked<'s> {
    shared: &'s Shared,
    state: Option<MutexGuard<'s, State>>,
    /// Whether this thread leads.
    is_leader: bool,
}

thread_local! {
    /// Whether this thread holds the lock of a pool.
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
}

impl Shared {
    pub(super) fn new(config: Config) -> io::Result<Self> {
        own::prepare()?;
        let config = Arc::new(config);
        let stash = Arc::new(Stash::default());
        Ok(Self {
            state: Mutex::new(State {
                engine: Engine::new(Arc::clone(&config), Arc::clone(&stash)),
                leader: None,
                followers: BTreeMap::new(),
                next_follower: 0,
                keeper_wakes_at: None,
                keeper: Keeper::Sleeps,
                leads: 0,
                is_over: false,
                has_starter: false,
            }),
            attention: Attention::create()?,
            stash,
            config,
            owner: own::number(),
            patience: Patience::default(),
        })
    }

    /// Whether this process has made the pool.
    pub(super) fn is_own(&self) -> bool {
        self.owner == own::number()
    }

    /// Locks the state.
    ///
    /// # Panics
    ///
    /// Panics if this thread has locked it already: code of the user's that the pool calls uses a
    /// pool.
    pub(super) fn lock(&self) -> Locked<'_> {
        assert!(
            !IS_INSIDE.replace(true),
            "what decides about retries must not use a pool"
        );
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Locked {
            shared: self,
            state: Some(state),
            is_leader: false,
        }
    }

    /// Locks the state, unless this thread has locked it already.
    pub(super) fn lock_unless_inside(&self) -> Option<Locked<'_>> {
        (!IS_INSIDE.get()).then(|| self.lock())
    }

    /// Waits for something, and leads meanwhile if nobody else does. Returns the lock, and whether
    /// it has come: not after the deadline.
    pub(super) fn wait<'s>(
        &'s self,
        mut locked: Locked<'s>,
        deadline: Option<Instant>,
        awaited: Awaited,
    ) -> (Locked<'s>, bool) {
        loop {
            if locked.has_come(awaited) {
                return (locked, true);
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return (locked, false);
            }
            locked = if locked.has_leader() {
                self.follow(locked, deadline, awaited)
            } else {
                self.lead(locked, deadline, awaited)
            };
        }
    }

    /// Sleeps until another thread wakes this one.
    fn follow<'s>(
        &'s self,
        mut locked: Locked<'s>,
        deadline: Option<Instant>,
        awaited: Awaited,
    ) -> Locked<'s> {
        let state = locked.state();
        let ticket = state.next_follower;
        state.next_follower += 1;
        state.followers.insert(ticket, (thread::current(), awaited));
        drop(locked);
        match deadline {
            None => thread::park(),
            Some(deadline) => {
                thread::park_timeout(deadline.saturating_duration_since(Instant::now()));
            }
        }
        let mut locked = self.lock();
        locked.state().followers.remove(&ticket);
        locked
    }

    /// Takes results until that has come which is awaited, or the deadline.
    fn lead<'s>(
        &'s self,
        mut locked: Locked<'s>,
        deadline: Option<Instant>,
        awaited: Awaited,
    ) -> Locked<'s> {
        let is_late = || deadline.is_some_and(|deadline| deadline <= Instant::now());
        let state = locked.state();
        state.leader = Some(awaited);
        state.leads += 1;
        locked.is_leader = true;
        self.attention.is_awake();
        loop {
            locked.turn();
            if locked.has_come(awaited) || is_late() {
                break;
            }
            locked.tell_keeper();
            // First without telling the workers: one that need not wake this thread is faster.
            let glances = Arc::clone(&locked.glances);
            drop(locked);
            let has_answer = || glances.iter().any(Glance::has_answer);
            let is_there = self.patience.wait(has_answer);
            locked = self.lock();
            locked.is_leader = true;
            if is_there {
                continue;
            }
            self.attention.sleeps(Sleeper::Caller);
            if locked.has_news() || locked.has_come(awaited) {
                self.attention.is_awake();
                continue;
            }
            drop(locked);
            // If the system refuses to wait, the loop spins, and nothing else is wrong.
            let _ = self.attention.wait(deadline);
            locked = self.lock();
            locked.is_leader = true;
            self.attention.is_awake();
        }
        locked.is_leader = false;
        locked.state().leader = None;
        let state = locked.state();
        if let Some((_, (follower, _))) = state.followers.first_key_value() {
            follower.unpark();
        }
        // Another thread, or this one, will probably lead soon. Otherwise the keeper goes on.
        if mem::replace(&mut state.keeper, Keeper::StandsBy) == Keeper::Sleeps {
            self.wake_keeper();
        }
        locked.tell_keeper();
        locked
    }

    /// Wakes the keeper.
    pub(super) fn wake_keeper(&self) {
        // It cannot fail but for a descriptor that is not a bell.
        let _ = self.attention.bell().ring();
    }

    /// The descriptor that is readable while the keeper is to wake up.
    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.attention.bell().as_fd()
    }
}

impl State {
    /// Whether that has come which is awaited.
    fn has_come(&self, awaited: Awaited) -> bool {
        match awaited {
            Awaited::Job(task) => self.engine.jobs.is_done(task),
            Awaited::Group(group) => self.engine.jobs.has_ended(group),
            Awaited::Room => self.engine.has_room(),
            Awaited::End => self.is_over,
        }
    }
}

impl Locked<'_> {
    fn state(&mut self) -> &mut State {
        self.state.as_mut().expect("it is taken when it is dropped")
    }

    fn has_leader(&self) -> bool {
        self.state
            .as_ref()
            .is_some_and(|state| state.leader.is_some())
    }

    /// Wakes the keeper if it has something to do before it wakes up by itself.
    pub(super) fn tell_keeper(&mut self) {
        let state = self.state();
        let at = state.engine.wake_at();
        let is_earlier = match (at, state.keeper_wakes_at) {
            (Some(at), Some(planned)) => at < planned,
            (at, None) => at.is_some(),
            (None, Some(_)) => false,
        };
        // Without workers nothing else wakes it when the pool is over.
        let is_over = !state.is_over && state.engine.schedule.is_over();
        if is_earlier || is_over || !state.engine.starts.is_empty() {
            state.keeper_wakes_at = at;
            self.shared.wake_keeper();
        }
    }

    /// What the keeper does before it sleeps. Returns how long it sleeps: `None` if there is
    /// something to do at once. `leads` is how often a thread had begun to lead when the keeper
    /// slept last.
    pub(super) fn keeper_sleeps(&mut self, leads: &mut u64) -> Option<Sleep> {
        let state = self.state();
        let at = state.engine.wake_at();
        state.keeper_wakes_at = at;
        let has_led = mem::replace(leads, state.leads) != state.leads;
        // A thread that leads has the keeper told when it stops.
        if state.keeper == Keeper::StandsBy && has_led && state.leader.is_none() {
            return Some(Sleep::Brief(at));
        }
        state.keeper = Keeper::Sleeps;
        if state.leader.is_none() {
            self.shared.attention.sleeps(Sleeper::Keeper);
            if self.has_news() {
                return None;
            }
        }
        Some(Sleep::Until(at))
    }

    /// What the keeper does when it wakes up.
    pub(super) fn keeper_wakes(&mut self) {
        if !self.has_leader() {
            self.shared.attention.is_awake();
        }
    }

    fn has_come(&mut self, awaited: Awaited) -> bool {
        self.state().has_come(awaited)
    }

    /// Wakes all that wait, since something has changed for all of them.
    pub(super) fn wake_all(&mut self) {
        for (follower, _) in self.state().followers.values() {
            follower.unpark();
        }
        if self.has_leader() {
            self.shared.attention.wake();
        }
    }

    pub(super) fn set_over(&mut self) {
        self.state().is_over = true;
        self.wake_all();
    }

    pub(super) fn is_over(&mut self) -> bool {
        self.state().is_over
    }

    pub(super) fn has_starter(&mut self) -> &mut bool {
        &mut self.state().has_starter
    }
}

impl Deref for Locked<'_> {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        &self
            .state
            .as_ref()
            .expect("it is taken when it is dropped")
            .engine
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Engine {
        &mut self.state().engine
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let is_leader = self.is_leader;
        let state = self.state();
        let mut woken = Vec::new();
        if !state.followers.is_empty() {
            let followers = state.followers.values();
            let come = followers.filter(|(_, awaited)| state.has_come(*awaited));
            woken.extend(come.map(|(thread, _)| thread.clone()));
        }
        // The thread that leads sees by itself what it does.
        let leader = state.leader.filter(|_| !is_leader);
        let is_leader_woken = leader.is_some_and(|awaited| state.has_come(awaited));
        drop(self.state.take());
        IS_INSIDE.set(false);
        if is_leader_woken {
            self.shared.attention.wake();
        }
        for thread in woken {
            thread.unpark();
        }
    }
}
