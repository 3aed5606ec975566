//! Pools of worker processes: a worker may die, the work does not.
//!
//! A [`Pool`] keeps a number of worker processes and hands them jobs. A job is any process value:
//! what `new` of a function with `#[process]` returns, or a struct with `#[derive(Process)]`.
//! Different ones may be in one pool. Starting a job costs no process: it is written to memory that
//! the worker shares.
//!
//! The arguments of `#[process]` are settings of a process of its own. Of these a pool applies the
//! `timeout` alone, to the job. The others are set for all jobs, by [`PoolBuilder::worker`].
//!
//! ```
//! use procession::{Pool, process};
//!
//! #[process]
//! fn square(n: u64) -> u64 {
//!     n * n
//! }
//!
//! let pool = Pool::new()?; // one worker for each CPU that this process may use
//! let job = pool.submit(square::new(3))?;
//! assert_eq!(job.join()?, 9);
//! let squares = pool.map((0..5).map(square::new)); // in order, as lazily as the workers allow
//! assert_eq!(squares.collect::<Result<Vec<_>, _>>()?, [0, 1, 4, 9, 16]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How a job ends
//!
//! Every job ends exactly once: with its value, or with a [`JoinError`](crate::JoinError) that
//! tells why it has none. A panic does not cost the worker. A worker that is lost (by a signal, an
//! exit, a limit, a timeout) costs only the job that it had begun, and another one takes its place.
//! All other jobs go to other workers, so nobody notices if all idle workers are killed at once.
//!
//! [`JoinError::ran`](crate::JoinError::ran) tells whether the job may have had effects. A job that
//! has begun is never begun again, unless the pool is asked for it: [`PoolBuilder::retries`].
//!
//! # Workers that fail
//!
//! - If a worker cannot be started, or if its initializer fails, another one is started after 10
//!   ms, the next one after 20 ms, and so on. After five failures in a row, if no worker is left,
//!   the jobs that wait end with [`JoinErrorKind::NoWorker`](crate::JoinErrorKind::NoWorker) and
//!   the reason. Until the next attempt, which is at most five seconds later, new jobs end so at
//!   once. A worker that is killed before it has begun its first job is such a failure too.
//! - A worker that is stopped, by SIGSTOP or a debugger, does not begin what it is offered. After
//!   20 ms its jobs go to other workers. A worker that has not begun a job for five seconds is
//!   replaced. A worker that is stopped within a job keeps that job: set a
//!   [timeout](PoolBuilder::task_timeout).
//! - A worker that has not ended ten seconds after it was let go is killed.
//!
//! # Large values
//!
//! Arguments and results of more than 16 KiB are passed in memory that has a descriptor, and is
//! used again. At most 64 jobs with such arguments wait or run: [`submit`](Pool::submit) waits
//! then, as if the backlog were full. Results are read from that memory before there are too many.
//!
//! # How a pool ends
//!
//! Dropping a [`Pool`] cancels the jobs that have not begun, kills the workers, and waits until
//! they are gone. [`shutdown`](Pool::shutdown) lets the jobs end first. A worker that is killed
//! prints nothing more, not even what it has not flushed. A worker does not outlive this process,
//! however it ends, and neither does anything that a worker has started with this crate. The
//! exception is that of [daemons](crate#limits): a job that closes descriptors which it does not
//! own frees its worker from that.
//!
//! # In a worker
//!
//! A worker is a process as any other: `main` does not run in it,
//! [`#[procession::init]`](macro@crate::init) does, and so does the
//! [`initializer`](PoolBuilder::initializer) of the pool. Statics keep their values from one job to
//! the next. [`Current::worker`](crate::Current::worker) tells the index of the worker. A job may
//! start processes, and make a pool of its own.
//!
//! SIGINT does not end a worker, so that Ctrl-C in a terminal ends this program only, and thereby
//! its workers. A program that handles SIGINT and goes on keeps its workers.
//!
//! # Threads in a job
//!
//! A library that starts a thread for each CPU does so in every worker.
//! [`PoolBuilder::threads_per_worker`] limits rayon, OpenMP and the usual BLAS libraries.

mod builder;
mod config;
mod engine;
mod errand;
mod handle;
mod job;
mod jobs;
mod keeper;
mod lane;
mod map;
#[cfg(feature = "progress")]
mod progress;
mod schedule;
#[cfg(all(test, feature = "shm"))]
mod search;
mod shared;
mod staff;
mod stats;
mod submit;
mod worker;

pub use builder::PoolBuilder;
pub use handle::Pool;
pub use job::{Job, JobState};
pub use map::{Map, MapUnordered, Processes};
#[cfg(feature = "progress")]
#[cfg_attr(docsrs, doc(cfg(feature = "progress")))]
pub use progress::{Progress, print_above_progress};
pub use stats::{Latencies, Restart, RestartReason, RunningJob, Stats, WorkerStats};
pub use submit::{JobBuilder, TrySubmitError};
