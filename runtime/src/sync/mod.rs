//! Locks between processes.

mod condvar;
mod event;
mod mutex;
mod timeout;

pub use condvar::Condvar;
pub use event::Event;
pub use mutex::{Mutex, MutexGuard};
pub use timeout::{LockTimeoutError, WaitTimeoutResult};
