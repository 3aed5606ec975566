//! Locks between processes: [`std::sync`] for processes, by the same names.
//!
//! | | what it is | when a process is killed that has it |
//! |---|---|---|
//! | [`Mutex`] | a lock with a value inside | the next one gets it, poisoned |
//! | [`ReentrantMutex`] | one that its thread may take again | the same |
//! | [`RwLock`] | many readers or one writer | a reader's share comes back, a writer's does poisoned |
//! | [`Semaphore`], [`BoundedSemaphore`] | so many permits | its permits come back |
//! | [`Condvar`] | waiting for a change under a mutex | no notification is lost |
//! | [`Event`] | a flag to wait for | nothing |
//! | [`Barrier`] | waiting until all are there | one that waits there breaks it |
//!
//! Each of these is a handle. A clone is a handle to the same thing, and so is what another process gets to which one is sent: as an
//! argument (best by reference), a result, or inside of another value, under every [`StartMethod`](crate::StartMethod), and also by a
//! process that was not started here. What they share is memory without a name, which is gone when the last handle is: nothing is left
//! behind by any death. Threads of one process are served as well.
//!
//! # Time
//!
//! Taking and giving back what is free is no system call. Who has to wait sleeps, with a deadline on the monotonic clock if there is
//! one, and is woken by the one who gives back, or by the kernel when a process ends that has what is waited for: nobody has to notice.
//! A process that is stopped (SIGSTOP) while it has something keeps it: whoever does not want to wait for that waits with a time.
//!
//! # Limits
//!
//! A thread that ends without giving back what it has (it can leak a guard) gives back a [`Mutex`] and a [`ReentrantMutex`], as a process
//! would, and keeps the rest; so does a process that executes another program, until that ends. A process of another pid or time namespace can use all of them, but that it was killed is seen
//! for the mutexes only. At most 4096 processes can have or wait for one [`RwLock`], [`Semaphore`] or [`Barrier`] at the same time. Who
//! shares a lock can write to all of its memory: see [`Mutex`](Mutex#trust).
//!
//! # Examples
//!
//! ```
//! use procession::{process, sync::{Condvar, Mutex}};
//!
//! #[process]
//! fn work(jobs: &Mutex<u32>, fewer: &Condvar) {
//!     *jobs.lock().unwrap() -= 1;
//!     fewer.notify_one();
//! }
//!
//! let (jobs, fewer) = (Mutex::new(2)?, Condvar::new()?);
//! let workers = [work::spawn(&jobs, &fewer)?, work::spawn(&jobs, &fewer)?];
//! drop(fewer.wait_while(jobs.lock().unwrap(), |jobs| *jobs > 0).unwrap());
//! for worker in workers {
//!     worker.join()?;
//! }
//! # Ok::<(), procession::Error>(())
//! ```

mod barrier;
mod bounded_semaphore;
mod condvar;
mod event;
mod monitor;
mod mutex;
mod reentrant_mutex;
mod rwlock;
mod semaphore;
mod state;
mod timeout;

pub use barrier::{Barrier, BarrierError, BarrierWaitResult};
pub use bounded_semaphore::{BoundExceeded, BoundedSemaphore};
pub use condvar::Condvar;
pub use event::Event;
pub use mutex::{Mutex, MutexGuard};
pub use reentrant_mutex::{ReentrantMutex, ReentrantMutexGuard};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{Semaphore, SemaphoreGuard};
pub use timeout::{LockTimeoutError, WaitTimeoutResult};
