//! Locks between processes, with the names of [`std::sync`].
//!
//! | | what it is | if a process that holds it is killed |
//! |---|---|---|
//! | [`Mutex`] | a lock with a value inside | the next holder gets it, poisoned |
//! | [`ReentrantMutex`] | a lock that its holder may take again | the same |
//! | [`RwLock`] | many readers or one writer | it is released; poisoned, if a writer died |
//! | [`Semaphore`], [`BoundedSemaphore`] | a number of permits | its permits are released |
//! | [`Condvar`] | waiting for a change under a mutex | no notification is lost |
//! | [`Event`] | a flag to wait for | nothing happens |
//! | [`Barrier`] | waiting until all are there | a waiter that is killed breaks it |
//!
//! Each of these types is a handle. A clone is a handle to the same object, and so is a handle that
//! another process receives. Send a handle as an argument (best by reference), as a result, or
//! inside another value, under every [`StartMethod`](crate::StartMethod). It can also be sent to a
//! process that this process did not start. The handles share memory without a name, which is freed
//! with the last handle, so no death leaves anything behind. The locks also work between threads of
//! one process.
//!
//! # Time
//!
//! Taking a free lock and releasing it makes no system call. A thread that has to wait sleeps,
//! until a deadline on the monotonic clock if there is one. The process that releases the lock
//! wakes it. If a holder ends, the kernel wakes it, without help from any other process. A wait can
//! need descriptors for that: one for each process that holds what it waits for. Without free
//! descriptors it still waits, but notices the end of a holder up to a tenth of a second later.
//!
//! A process that is stopped (SIGSTOP) keeps what it holds. Set a time limit if you do not want to
//! wait for that.
//!
//! If a process is stopped at the very moment at which it takes or releases something, other
//! processes cannot take anything of that lock. They can still release: dropping a guard, adding
//! permits, and aborting or resetting a [`Barrier`] take a tenth of a second at most. A wait with a
//! time limit ends at most a tenth of a second late.
//!
//! A process that is stopped while it waits delays no other process, except for a tenth of a second
//! at a [`Mutex`], or at an [`RwLock`] if it waits as a writer.
//!
//! Waiters have no order, and a newcomer may be first.
//!
//! # Limits
//!
//! A thread can leak a guard and then end. Then a [`Mutex`] and a [`ReentrantMutex`] are released,
//! as if the process had ended. All other locks stay held until the process ends. The same happens
//! if a process executes another program: it keeps all other locks until that program ends.
//!
//! At most 4096 processes at a time can hold one [`RwLock`] or [`Semaphore`], or wait at one
//! [`Barrier`]. All processes that share a lock can write to all of its memory: see
//! [`Mutex`](Mutex#trust).
//!
//! **Locks and queues belong to one PID namespace**, that of the process that created them, because
//! the kernel identifies holders by their ids there. In another namespace, they are refused when
//! they arrive. A forked copy has them already, and panics when it takes one. (If neither `/proc`
//! nor Linux 6.11 tells the namespace, it is not checked.) An [`Event`] can be used everywhere.
//!
//! Whether processes see each other in `/proc` does not matter since Linux 6.9. Before that, if
//! they do not, and a new process gets the id of a dead holder before any process notices the
//! death, what the dead process held is released only when the new process ends.
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
