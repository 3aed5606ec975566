//! The settings of a pool.

use super::{
    config::Config,
    errand::Errand,
    handle::Pool,
    schedule::{Plan, Wish},
};
use crate::{
    error::{Error, ErrorKind, Result},
    process::{Builder, JoinError, Process},
    start::{self, InitOutput, StartMethod, Stdio},
};
use std::{
    mem,
    num::NonZero,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// The settings of a [`Pool`], as [`Pool::builder`] returns them.
///
/// # Examples
///
/// ```
/// use procession::{Builder, Pool, process};
/// use std::time::Duration;
///
/// #[process]
/// fn thumbnail(path: String) -> usize {
///     path.len()
/// }
///
/// let pool = Pool::builder()
///     .workers(2)
///     .worker(Builder::new().memory_limit(4 << 30).nice(5))
///     .task_timeout(Duration::from_secs(30))
///     .max_tasks_per_worker(1000)
///     .build()?;
/// assert_eq!(pool.submit(thumbnail::new("a.png".into()))?.join()?, 5);
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a pool has no workers until its `build` is called"]
pub struct PoolBuilder {
    config: Config,
    name: Option<String>,
    workers: Option<usize>,
    // What overrides the settings of `worker`, whichever was called first.
    method: Option<StartMethod>,
    threads: Option<usize>,
    stdout: Option<Stdio>,
    stderr: Option<Stdio>,
    least: Option<usize>,
    /// The first error of a setting.
    failed: Option<Arc<Error>>,
}

/// How many jobs may wait for a worker, unless another number is set.
const BACKLOG: usize = 4096;

/// How many workers a job may cost, unless another number is set.
const POISON_AFTER: u32 = 3;

/// The variables that tell libraries how many threads to use.
const THREADS: [&str; 7] = [
    "RAYON_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
];

impl Pool {
    /// Makes a pool with one worker for each CPU that this process may use.
    ///
    /// # Errors
    ///
    /// See [`PoolBuilder::build`].
    pub fn new() -> Result<Self> {
        Self::builder().build()
    }

    /// Returns the settings of a pool to be made.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::new()
    }

    /// Returns a pool for the whole process, which is made by the first call, as [`new`](Self::new)
    /// makes it. It ends with this process.
    ///
    /// # Errors
    ///
    /// See [`PoolBuilder::build`]. Fails with [`ErrorKind::DaemonicChildren`] in a worker of such a
    /// pool: a worker cannot use the pool that it belongs to. It can make a pool of its own, with
    /// [`new`](Self::new).
    pub fn global() -> Result<&'static Self> {
        static GLOBAL: OnceLock<Pool> = OnceLock::new();
        if let Some(pool) = GLOBAL.get() {
            return Ok(pool);
        }
        if start::seat().is_some_and(|seat| seat.is_global) {
            let what = "a worker cannot use the pool that it belongs to: make another one with `Pool::new`";
            return Err(Error::new(ErrorKind::DaemonicChildren, what));
        }
        let mut builder = Self::builder().name(GLOBAL_NAME);
        builder.config.is_global = true;
        let pool = builder.build()?;
        Ok(GLOBAL.get_or_init(|| pool))
    }
}

/// The name of the pool for the whole process.
const GLOBAL_NAME: &str = "global-pool";

impl PoolBuilder {
    fn new() -> Self {
        Self {
            config: Config {
                name: String::new(),
                plan: Plan {
                    least: 0,
                    most: 0,
                    tasks_per_worker: None,
                    max_age: None,
                    idle_timeout: None,
                    ahead: true,
                    poison_after: POISON_AFTER,
                },
                backlog: BACKLOG,
                wish: Wish::default(),
                worker: Builder::new(),
                each_worker: None,
                initializer: None,
                finalizer: None,
                max_memory: None,
                is_global: false,
                seed: None,
                retry_if: None,
            },
            name: None,
            workers: None,
            method: None,
            threads: None,
            stdout: None,
            stderr: None,
            least: None,
            failed: None,
        }
    }

    /// Sets how many workers there are, at least one. By default it is the number of CPUs that this
    /// process may use: [`std::thread::available_parallelism`] counts its affinity and the quota of
    /// its control group.
    pub fn workers(mut self, count: usize) -> Self {
        self.workers = Some(count);
        self
    }

    /// Sets the name of the pool, from which its workers have theirs. By default it is `pool-1`,
    /// `pool-2` and so on.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets how the workers are started. By default they are started as
    /// [`set_start_method`](crate::set_start_method) says. [`StartMethod::Fork`] is refused, since
    /// a pool has threads.
    pub fn start_method(mut self, method: StartMethod) -> Self {
        self.method = Some(method);
        self
    }

    /// Sets the settings of the workers: their limits, environment, streams and so on. By default
    /// they are those of [`Builder`]. The methods of this type that set one of them, such as
    /// [`threads_per_worker`](Self::threads_per_worker), override it, whichever is called first.
    ///
    /// A worker is always a daemon, and it may have children unless these settings forbid it. It
    /// has a name that tells its pool and its index. A [`timeout`](Builder::timeout) is refused:
    /// see [`task_timeout`](Self::task_timeout). A [`cpu_time_limit`](Builder::cpu_time_limit)
    /// counts over all jobs of a worker, and ends it in whichever job it runs then. A stream cannot
    /// be [piped](Stdio::piped): use a file or a pipe of yours.
    pub fn worker(mut self, settings: Builder) -> Self {
        self.config.worker = settings;
        self
    }

    /// Sets where the streams of the workers lead, if they are to lead somewhere else.
    #[cfg(feature = "progress")]
    pub(super) fn streams(mut self, stdout: Option<Stdio>, stderr: Option<Stdio>) -> Self {
        self.stdout = stdout.or(self.stdout);
        self.stderr = stderr.or(self.stderr);
        self
    }

    /// Changes the settings for each worker, by its index. It is called whenever a worker is
    /// started, on a thread of the pool, and must neither use nor drop the pool.
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::Pool;
    ///
    /// // Each worker on a CPU of its own.
    /// let pool = Pool::builder().workers(1).each_worker(|index, worker| worker.affinity([index]));
    /// # let _ = pool;
    /// ```
    pub fn each_worker(
        mut self,
        change: impl Fn(usize, Builder) -> Builder + Send + Sync + 'static,
    ) -> Self {
        self.config.each_worker = Some(Arc::new(change));
        self
    }

    /// Sets how many threads the libraries in a worker may use: rayon, `OpenMP`, `OpenBLAS`, MKL,
    /// BLIS, Accelerate and numexpr. By default each of them uses one for each CPU, in every
    /// worker.
    ///
    /// It sets the variables in the environment of the workers that these libraries read.
    pub fn threads_per_worker(mut self, count: usize) -> Self {
        self.threads = Some(count);
        self
    }

    /// Sets how many jobs a worker does before another one takes its place. By default there is no
    /// limit.
    #[doc(alias = "maxtasksperchild")]
    pub fn max_tasks_per_worker(mut self, count: u32) -> Self {
        self.config.plan.tasks_per_worker = Some(count.max(1));
        self
    }

    /// Sets how much memory a worker may have resident, in bytes, after a job. If it has more,
    /// another worker takes its place. By default there is no limit.
    ///
    /// A job is not affected by it. [`Builder::memory_limit`] limits the memory of a job.
    pub fn max_memory_per_worker(mut self, bytes: u64) -> Self {
        self.config.max_memory = Some(bytes);
        self
    }

    /// Sets how old a worker becomes before another one takes its place, when it has no job. By
    /// default there is no limit.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.config.plan.max_age = Some(age);
        self
    }

    /// Sets how long a worker may have nothing to do before it is let go. By default all workers
    /// stay.
    ///
    /// At least [`min_workers`](Self::min_workers) stay. When there are more jobs again, more
    /// workers are started.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.config.plan.idle_timeout = Some(timeout);
        self
    }

    /// Sets how many workers stay although they have nothing to do. By default all stay, or none if
    /// there is an [`idle_timeout`](Self::idle_timeout).
    ///
    /// The others are started when there are jobs for them.
    pub fn min_workers(mut self, count: usize) -> Self {
        self.least = Some(count);
        self
    }

    /// Sets how long a job may run. Its worker is killed after that. By default there is no limit.
    ///
    /// The time counts from when a worker begins the job, and not while the job waits. It overrides
    /// the `timeout` of `#[process]`.
    pub fn task_timeout(mut self, timeout: Duration) -> Self {
        self.config.wish.timeout = Some(timeout);
        self
    }

    /// Sets what each worker calls before its first job, within its own process: what `new` of a
    /// function with `#[process]` returns, for example. If it fails or panics, the worker does not
    /// begin. After five such failures in a row, the jobs that wait fail with
    /// [`JoinErrorKind::NoWorker`](crate::JoinErrorKind) and the reason.
    ///
    /// What it leaves in statics is there for the jobs.
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::{Pool, process};
    /// use std::sync::OnceLock;
    ///
    /// static WORDS: OnceLock<Vec<String>> = OnceLock::new();
    ///
    /// #[process]
    /// fn load(text: &str) {
    ///     WORDS.get_or_init(|| text.split(' ').map(str::to_owned).collect());
    /// }
    ///
    /// #[process]
    /// fn word(index: usize) -> Option<String> {
    ///     WORDS.get()?.get(index).cloned()
    /// }
    ///
    /// let pool = Pool::builder().workers(2).initializer(load::new("never odd or even")).build()?;
    /// assert_eq!(pool.submit(word::new(1))?.join()?.as_deref(), Some("odd"));
    /// # Ok::<(), procession::Error>(())
    /// ```
    #[expect(
        clippy::needless_pass_by_value,
        reason = "it is encoded here, and sent to each worker"
    )]
    pub fn initializer<P: Process<Output: InitOutput>>(mut self, process: P) -> Self {
        self.config.initializer = self.encode(&process);
        self
    }

    /// Sets what each worker calls when it is let go, within its own process. A worker that is
    /// killed does not: neither one that was lost, nor those of a pool that is dropped or
    /// [terminated](Pool::terminate). Call [`Pool::shutdown`] first. A worker that has not ended
    /// ten seconds after it was let go is killed.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "it is encoded here, and sent to each worker"
    )]
    pub fn finalizer<P: Process<Output: InitOutput>>(mut self, process: P) -> Self {
        self.config.finalizer = self.encode(&process);
        self
    }

    /// Sets how many jobs may wait for a worker. By default it is 4096.
    ///
    /// [`Pool::submit`] blocks while so many wait, and [`Pool::try_submit`] returns.
    pub fn backlog(mut self, count: usize) -> Self {
        self.config.backlog = count.max(1);
        self
    }

    /// Sets how many more times a job is tried after it has failed. By default it is not tried
    /// again: it may have had effects.
    ///
    /// It is tried again after every end without a value, unless [`retry_if`](Self::retry_if)
    /// chooses. A job that was cancelled is not tried again, and neither is one whose value cannot
    /// be decoded here: it is decoded when it is joined. A job whose function returns an `Err` has
    /// a value. A job that costs its workers is tried [`poison_after`](Self::poison_after) times at
    /// most.
    pub fn retries(mut self, count: u32) -> Self {
        self.config.wish.retries = count;
        self
    }

    /// Sets which ends a job is tried again after, if it has [`retries`](Self::retries) left.
    ///
    /// The predicate is called on any thread that uses the pool, and must not use the pool itself.
    /// If it panics, the job is not tried again.
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::{JoinErrorKind, Pool};
    ///
    /// let crashed = |error: &procession::JoinError| error.kind() == JoinErrorKind::Signalled;
    /// let pool = Pool::builder().retries(2).retry_if(crashed);
    /// # let _ = pool;
    /// ```
    pub fn retry_if(
        mut self,
        predicate: impl Fn(&JoinError) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.config.retry_if = Some(Arc::new(predicate));
        self
    }

    /// Sets how many workers a job may cost, whatever its [`retries`](Self::retries). By default it
    /// is 3. Such a job is set aside: [`JoinError::is_set_aside`](crate::JoinError::is_set_aside).
    pub fn poison_after(mut self, count: u32) -> Self {
        self.config.plan.poison_after = count.max(1);
        self
    }

    /// Sets a seed, from which each job has one of its own: see
    /// [`Worker::seed`](crate::Worker::seed). By default there is none.
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::{Pool, current, process};
    ///
    /// #[process]
    /// fn random() -> u64 {
    ///     current().worker().unwrap().seed().unwrap() // for a generator of random numbers
    /// }
    ///
    /// let numbers = || -> Result<Vec<_>, _> {
    ///     let pool = Pool::builder().workers(2).seed(42).build().unwrap();
    ///     pool.map((0..8).map(|_| random::new())).collect()
    /// };
    /// assert_eq!(numbers()?, numbers()?);
    /// # Ok::<(), procession::JoinError>(())
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.config.seed = Some(seed);
        self
    }

    /// Makes the pool. Its workers are started meanwhile, and jobs can be submitted at once.
    ///
    /// # Errors
    ///
    /// Fails in these cases:
    ///
    /// - The system is not supported.
    /// - This process may not have children.
    /// - The workers would be started by [`StartMethod::Fork`].
    /// - The workers have a [`timeout`](Builder::timeout), which would count over all their jobs.
    /// - A standard stream of the workers is [piped](Stdio::piped): nobody would read it.
    /// - The initializer or the finalizer cannot be encoded.
    /// - The system has no memory, descriptors or threads left.
    ///
    /// A worker that cannot be started is an error of the jobs, and not of this call.
    pub fn build(self) -> Result<Pool> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        if let Some(error) = self.failed {
            let what = "the initializer or the finalizer of a pool cannot be encoded";
            return Err(Error::new(error.kind(), what).because(error));
        }
        let available = || thread::available_parallelism().map_or(1, NonZero::get);
        let most = self.workers.unwrap_or_else(available).max(1);
        let mut config = self.config;
        let worker = &mut config.worker;
        if let Some(method) = self.method {
            *worker = mem::take(worker).start_method(method);
        }
        if let Some(threads) = self.threads {
            let variables = THREADS.map(|name| (name, threads.to_string()));
            *worker = mem::take(worker).envs(variables);
        }
        if let Some(stdout) = self.stdout {
            *worker = mem::take(worker).stdout(stdout);
        }
        if let Some(stderr) = self.stderr {
            *worker = mem::take(worker).stderr(stderr);
        }
        let all_stay = if config.plan.idle_timeout.is_some() {
            0
        } else {
            most
        };
        config.plan.most = most;
        config.plan.least = self.least.unwrap_or(all_stay).min(most);
        config.name = self
            .name
            .unwrap_or_else(|| format!("pool-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        start::check_support()?;
        if !start::current().bond.may_have_children {
            let what = "this process is not allowed to have children, so it can have no pool";
            return Err(Error::new(ErrorKind::DaemonicChildren, what));
        }
        if config.worker.has_timeout() {
            let what = "a timeout of a worker would count over all its jobs: set `task_timeout` or `max_age`";
            return Err(Error::new(ErrorKind::Setting, what));
        }
        if config.worker.has_pipe() {
            let what = "a standard stream of a worker cannot be piped: nobody would read it";
            return Err(Error::new(ErrorKind::Setting, what));
        }
        if config.worker.method() == StartMethod::Fork {
            let what = "a pool has threads, so its workers cannot be started by `Fork`";
            return Err(Error::new(ErrorKind::MultipleThreads, what));
        }
        Pool::with(config)
    }

    /// Encodes what each worker calls. The first failure is the error of [`build`](Self::build).
    fn encode<P: Process<Output: InitOutput>>(&mut self, process: &P) -> Option<Errand> {
        match Errand::of(process) {
            Ok(errand) => Some(errand),
            Err(error) => {
                self.failed.get_or_insert(Arc::new(error));
                None
            }
        }
    }
}
