//! A pool, as its owner holds it.

use super::{
    config::Config,
    keeper,
    schedule::Event,
    shared::{Awaited, Locked, Shared},
    stats::Stats,
};
use crate::{
    error::{Error, Result},
    process,
    start::LAST_BREATH,
    sys::wait,
};
use std::{
    fmt,
    sync::{Arc, Mutex, Once, PoisonError, Weak},
    thread::JoinHandle,
    time::Duration,
};

/// A pool of worker processes.
///
/// All methods take `&self`, so many threads can use one pool. It can be in a static: `static POOL:
/// LazyLock<Pool> = LazyLock::new(|| Pool::new().unwrap())`. In a worker such a static is empty, as
/// every other. A job that uses it makes a pool in each worker: see [`Pool::global`], which refuses
/// that.
///
/// Dropping it [terminates](Self::terminate) it.
///
/// # Examples
///
/// See the [module](super).
#[doc(alias = "ProcessPoolExecutor")]
pub struct Pool {
    pub(super) shared: Arc<Shared>,
    keeper: Option<JoinHandle<()>>,
}

/// The pools of this process, to be stopped when it ends.
static POOLS: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

impl Pool {
    /// Makes a pool, whose workers are started meanwhile.
    pub(super) fn with(config: Config) -> Result<Self> {
        let shared = Shared::new(config)
            .map_err(|source| Error::os("a pool can have no shared memory", source))?;
        let shared = Arc::new(shared);
        let mut locked = shared.lock();
        locked.turn();
        drop(locked);
        let keeper = keeper::start(Arc::clone(&shared))
            .map_err(|source| Error::making("a pool can have no thread", source))?;
        remember(&shared);
        Ok(Self {
            shared,
            keeper: Some(keeper),
        })
    }

    /// Returns the name of the pool.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.config.name
    }

    /// Returns numbers about the pool: its jobs, its workers, and how long jobs wait and run.
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::{Pool, process};
    ///
    /// #[process]
    /// fn task() {}
    ///
    /// let pool = Pool::builder().workers(1).build()?;
    /// pool.submit(task::new())?.join()?;
    /// let stats = pool.stats();
    /// assert_eq!((stats.done, stats.workers.len()), (1, 1));
    /// println!("median: {:?}", stats.run_time.percentile(0.5));
    /// # Ok::<(), procession::Error>(())
    /// ```
    ///
    /// In a copy of the process, which a bare `fork` has made, all numbers are zero.
    #[must_use]
    pub fn stats(&self) -> Stats {
        if !self.shared.is_own() {
            return Stats::default();
        }
        self.shared.lock().stats()
    }

    /// Changes the number of workers. Workers that are too many end when they have done their jobs.
    pub fn resize(&self, workers: usize) {
        if !self.shared.is_own() {
            return;
        }
        let most = workers.max(1);
        let mut locked = self.shared.lock();
        let plan = &self.shared.config.plan;
        let least = if plan.least == plan.most {
            most
        } else {
            plan.least.min(most)
        };
        locked.resize(least, most);
        locked.tell_keeper();
    }

    /// Takes no more jobs. Those that were submitted run to their ends.
    pub fn close(&self) {
        if !self.shared.is_own() {
            return;
        }
        let mut locked = self.shared.lock();
        locked.is_closed = true;
        locked.tell(Event::Closed);
        locked.tell_keeper();
        locked.wake_all();
    }

    /// Takes no more jobs, waits for those that were submitted, at most for `grace`, and then
    /// terminates the pool. Returns whether all jobs had ended.
    ///
    /// The values of the jobs can still be joined.
    #[allow(clippy::must_use_candidate, reason = "most callers need not know")]
    pub fn shutdown(&self, grace: Duration) -> bool {
        if !self.shared.is_own() {
            return false;
        }
        self.close();
        let locked = self.shared.lock();
        let (locked, is_over) = self
            .shared
            .wait(locked, wait::deadline(grace), Awaited::End);
        drop(locked);
        if !is_over {
            self.terminate();
        }
        !self.shared.lock().is_cut
    }

    /// Ends the pool at once: kills the workers and waits until they are gone. Jobs that have not
    /// begun end with [`JoinErrorKind::PoolClosed`](crate::JoinErrorKind), those that run with
    /// [`JoinErrorKind::Killed`](crate::JoinErrorKind).
    ///
    /// The values of the jobs that had ended can still be joined.
    pub fn terminate(&self) {
        if !self.shared.is_own() {
            return;
        }
        let mut locked = self.shared.lock();
        stop(&mut locked);
        // A process that waits in the kernel for a broken disk is not waited for any longer.
        let deadline = wait::deadline(LAST_BREATH);
        drop(self.shared.wait(locked, deadline, Awaited::End));
    }
}

/// Takes no more jobs, and kills all workers.
fn stop(locked: &mut Locked<'_>) {
    locked.is_closed = true;
    locked.is_cut |= locked.jobs.open() > 0;
    locked.tell(Event::Stopped);
    locked.tell_keeper();
    locked.wake_all();
}

/// Has a pool stopped when this process ends.
fn remember(shared: &Arc<Shared>) {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| process::before_end(stop_all));
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    pools.retain(|pool| pool.strong_count() > 0);
    pools.push(Arc::downgrade(shared));
}

fn stop_all() {
    let pools = std::mem::take(&mut *POOLS.lock().unwrap_or_else(PoisonError::into_inner));
    for pool in pools.iter().filter_map(Weak::upgrade) {
        if pool.is_own()
            && let Some(mut locked) = pool.lock_unless_inside()
        {
            stop(&mut locked);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if !self.shared.is_own() {
            return;
        }
        self.terminate();
        let is_over = self.shared.lock().is_over();
        if let Some(keeper) = self.keeper.take().filter(|_| is_over) {
            // If it has panicked, that was printed.
            let _ = keeper.join();
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}
