//! Locks between processes: [`std::sync`] for processes, by the same names.
//!
//! | | what it is | when a process is killed that has it |
//! |---|---|---|
//! | [`Mutex`] | a lock with a value inside | the next one gets it, poisoned |
//! | [`ReentrantMutex`] | one that its thread may take again | the same |
//! | [`RwLock`] | many readers or one writer | a reader's share comes back, a writer's does poisoned |
//! | [`Semaphore`], [`BoundedSemaphore`] | a number of permits | its permits come back |
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
//! Taking and giving back what is free is no system call. A thread that has to wait sleeps, with a deadline on the monotonic clock if
//! there is one. It is woken by the process that gives back, or by the kernel when a process ends that has what is waited for: nobody
//! has to notice. A wait takes descriptors for that, one for each process in its way; where there are none, it goes on without, and
//! sees such an end a tenth of a second later.
//!
//! A process that is stopped (SIGSTOP) while it has something keeps it: set a time limit if you do not
//! want to wait for that. One that is stopped in the very instant in which it takes something or gives it
//! back keeps others from taking anything of that lock. It does not keep them from giving back: dropping
//! a guard, adding permits, and aborting or resetting a [`Barrier`] take a tenth of a second at most. A
//! wait with a time limit ends a tenth of a second after its time at most. A process that is stopped while it waits delays nobody, but for
//! a tenth of a second at a [`Mutex`] or as a writer at an [`RwLock`].
//!
//! There is no order among those who wait, and one that has just come may be first.
//!
//! # Limits
//!
//! A thread that ends without giving back what it has (it can leak a guard) gives back a [`Mutex`] and a [`ReentrantMutex`], as a process
//! would, and keeps the rest; so does a process that executes another program, until that ends. At most 4096 processes can have one
//! [`RwLock`] or [`Semaphore`], or wait at one [`Barrier`], at the same time. All that share a lock can write to all of its memory: see
//! [`Mutex`](Mutex#trust).
//!
//! **Locks and queues belong to one pid namespace**, that of the process that made them: the kernel knows holders by their ids there. In
//! another one they are refused when they arrive; a copy made by a fork, which has them already, panics when it takes one. (Where
//! neither `/proc` nor Linux 6.11 tells the namespace, it is not checked.) An [`Event`] can be used everywhere. Whether processes see
//! each other in `/proc` does not matter; before Linux 6.9, if they do not, and the id of a holder that died is given to a new process
//! before anybody looks, what it had comes back when that one ends.
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
#[cfg(test)]
mod search;
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
