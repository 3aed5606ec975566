//! How a pool was made.

use super::{
    errand::Errand,
    schedule::{Plan, Wish},
};
use crate::process::{Builder, JoinError};
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// Changes the settings of the worker with this index.
pub(super) type EachWorker = Arc<dyn Fn(usize, Builder) -> Builder + Send + Sync>;

/// Decides whether a job is tried again after this end.
pub(super) type Predicate = Arc<dyn Fn(&JoinError) -> bool + Send + Sync>;

#[derive(Clone)]
pub(super) struct Config {
    pub(super) name: String,
    pub(super) plan: Plan,
    /// How many jobs may wait for a worker.
    pub(super) backlog: usize,
    /// What is asked for a job, unless the job asks for something else.
    pub(super) wish: Wish,
    pub(super) worker: Builder,
    pub(super) each_worker: Option<EachWorker>,
    pub(super) initializer: Option<Errand>,
    pub(super) finalizer: Option<Errand>,
    pub(super) max_memory: Option<u64>,
    /// Whether it is the pool for the whole process.
    pub(super) is_global: bool,
    /// From which the seeds of the jobs are made.
    pub(super) seed: Option<u64>,
    pub(super) retry_if: Option<Predicate>,
}

impl Config {
    /// Whether a job may be tried again after this end, if it has attempts left.
    pub(super) fn may_retry(&self, error: &JoinError) -> bool {
        let Some(retry_if) = &self.retry_if else {
            return true;
        };
        // A predicate that panics has not said so. The panic was printed.
        catch_unwind(AssertUnwindSafe(|| retry_if(error))).unwrap_or(false)
    }

    /// Returns the settings of the worker with this index.
    pub(super) fn settings(&self, index: usize) -> Builder {
        let worker = self
            .worker
            .clone()
            .name(format!("{}-worker-{index}", self.name));
        match &self.each_worker {
            Some(each_worker) => each_worker(index, worker),
            None => worker,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("name", &self.name)
            .field("plan", &self.plan)
            .field("backlog", &self.backlog)
            .field("worker", &self.worker)
            .finish_non_exhaustive()
    }
}
