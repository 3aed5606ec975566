//! Locks and memory that processes share.

#![allow(missing_docs, reason = "tests")]

mod barrier;
mod condvar;
mod event;
mod hostile;
mod isolation;
mod mutex;
mod rwlock;
mod semaphore;
mod shared;
mod stopped;
