//! Locks between processes.

mod barrier;
mod bounded_semaphore;
mod condvar;
mod event;
mod monitor;
mod mutex;
mod reentrant_mutex;
mod rwlock;
mod semaphore;
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
