//! The threads of a pool: the keeper, which does what nobody else does at the time, and the starter
//! of workers, which is there only while workers are started.

use super::{
    lane::PoolEnd,
    schedule::WorkerId,
    shared::{Shared, Sleep},
    staff::Member,
    worker::Worker,
};
use crate::{
    error::{Error, ErrorKind, Result},
    process::Handle,
    sys::{
        fd::{AsFd, BorrowedFd},
        futex,
        wait::{self, For},
    },
};
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// How often a worker is looked at that has ended while a debugger holds it: nothing tells when the
/// debugger lets go.
const HELD: Duration = Duration::from_millis(100);

/// How long the keeper leaves the results to the threads that wait for them, one after the other,
/// before it sees whether one still does.
const BRIEF: Duration = Duration::from_millis(1);

/// Starts the keeper of a pool.
pub(super) fn start(shared: Arc<Shared>) -> io::Result<thread::JoinHandle<()>> {
    thread::Builder::new()
        .name("procession-pool".into())
        .spawn(move || keep(&shared))
}

/// Takes results while nobody waits for them, and notices ends and timeouts, until the pool is
/// over.
fn keep(shared: &Arc<Shared>) {
    let (mut ended, mut leads) = (Vec::new(), 0);
    let mut starter = None;
    loop {
        let mut locked = shared.lock();
        // Before the look for news: what rings afterwards rings again.
        let _ = shared.attention.bell().clear();
        locked.keeper_wakes();
        locked.turn();
        let mut held = Vec::new();
        for id in ended.drain(..) {
            let how = locked.staff.get(id).map(|member| member.child.try_join());
            match how.map(Result::transpose) {
                Some(Some(how)) => locked.ended(id, how),
                Some(None) => held.push(id),
                None => {}
            }
        }
        if !locked.starts.is_empty() && !std::mem::replace(locked.has_starter(), true) {
            drop(locked);
            await_end(starter);
            starter = start_starter(shared);
            continue;
        }
        if locked.schedule.is_over() && !*locked.has_starter() {
            drop(locked);
            await_end(starter);
            shared.lock().set_over();
            return;
        }
        let sleeps = locked.keeper_sleeps(&mut leads);
        let members = locked.staff.iter();
        let members = members.filter(|member| !held.contains(&member.id));
        let handles: Vec<(WorkerId, Handle)> = members
            .map(|member| (member.id, member.child.handle()))
            .collect();
        drop(locked);
        let (at, most) = match sleeps {
            None => continue,
            Some(Sleep::Until(at)) if held.is_empty() => (at, None),
            Some(Sleep::Until(at)) => (at, Some(HELD)),
            Some(Sleep::Brief(at)) => (at, Some(BRIEF)),
        };
        ended = sleep(shared.bell(), &handles, deadline(at, most));
    }
}

fn deadline(at: Option<Duration>, most: Option<Duration>) -> Option<Instant> {
    let now = Instant::now();
    let at = at.map(|at| at.saturating_sub(futex::since_boot()));
    let wait = at.into_iter().chain(most).min()?;
    now.checked_add(wait)
}

/// Sleeps until the bell rings, or a worker ends. Returns the workers that have ended.
fn sleep(
    bell: BorrowedFd<'_>,
    handles: &[(WorkerId, Handle)],
    deadline: Option<Instant>,
) -> Vec<WorkerId> {
    let mut waiting = vec![(bell, For::Reading)];
    waiting.extend(
        handles
            .iter()
            .map(|(_, handle)| (handle.as_fd(), For::Reading)),
    );
    let ready = wait::until_ready(&waiting, deadline).unwrap_or_default();
    let ended = ready.iter().skip(1).zip(handles);
    ended
        .filter_map(|(is_ready, (id, _))| is_ready.then_some(*id))
        .collect()
}

/// Starts the thread that starts workers.
fn start_starter(shared: &Arc<Shared>) -> Option<thread::JoinHandle<()>> {
    let theirs = Arc::clone(shared);
    let started = thread::Builder::new()
        .name("procession-start".into())
        .spawn(move || start_workers(&theirs));
    if started.is_err() {
        // The system has no more threads. Then the keeper does it itself.
        start_workers(shared);
    }
    started.ok()
}

/// Waits until a thread is gone that has nothing more to do: it still holds the memory and the
/// descriptors of the pool.
fn await_end(starter: Option<thread::JoinHandle<()>>) {
    // If it has panicked, that was printed.
    let _ = starter.map(thread::JoinHandle::join);
}

/// Starts all workers that are to be started.
fn start_workers(shared: &Shared) {
    loop {
        let mut locked = shared.lock();
        let Some(id) = locked.starts.pop_front() else {
            *locked.has_starter() = false;
            shared.wake_keeper();
            return;
        };
        if locked.staff.is_doomed(id) {
            let what = "the pool has ended meanwhile";
            locked.not_started(id, Error::new(ErrorKind::EndedEarly, what));
            continue;
        }
        drop(locked);
        let started = catch_unwind(AssertUnwindSafe(|| start_worker(shared, id)));
        let panicked = |_| {
            Err(Error::new(
                ErrorKind::Setting,
                "the settings of a worker panicked",
            ))
        };
        let mut locked = shared.lock();
        match started.unwrap_or_else(panicked) {
            Ok(member) => locked.seat(member),
            Err(error) => locked.not_started(id, error),
        }
        drop(locked);
        shared.wake_keeper();
    }
}

fn start_worker(shared: &Shared, id: WorkerId) -> Result<Box<Member>> {
    let began = futex::since_boot();
    let config = &shared.config;
    let index = id.index as usize;
    let no_lane = |source| Error::os("a worker can have no lane", source);
    let (lane, [memory, socket]) = PoolEnd::create().map_err(no_lane)?;
    let shared_fd = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().map_err(no_lane);
    let [attention, bell] = shared.attention.parts();
    let worker = Worker {
        fds: [memory, socket, shared_fd(attention)?, shared_fd(bell)?],
        index,
        count: shared.lock().most(),
        seed: config.seed,
        is_global: config.is_global,
        initializer: config.initializer.clone(),
        finalizer: config.finalizer.clone(),
        max_memory: config.max_memory,
    };
    let child = config.settings(index).daemon(true).spawn(worker)?;
    Ok(Box::new(Member::new(id, lane, child, began)))
}
