//! A lane: the memory between a pool and one of its workers.
//!
//! It has two rings, one for the tasks and one for their answers. One process writes to a ring and
//! the other reads from it, so nothing is locked: whoever is killed at whatever moment, what the
//! other side sees is whole.
//!
//! # Claims
//!
//! Each task has a word beside the ring. One atomic exchange takes it from *offered* to *claimed*
//! (by the worker, before it reads the task) or from *offered* to *withdrawn* (by the pool). So
//! both sides agree on who has the task, even if one of them dies in between.
//!
//! # Sleeping
//!
//! A side that sleeps says so first, and then looks once more. A side that has written something
//! looks afterwards whether the other one sleeps. The pool sleeps on one word for all its workers:
//! see [`Attention`].
//!
//! # Descriptors
//!
//! They go through a socket, in one packet for each record that has some, before the record. The
//! packet has the number of its task, so that the packet of a task that was withdrawn is told apart
//! from the next one.

mod attention;
mod layout;
mod pool_end;
mod ring;
mod worker_end;

pub(super) use attention::{Attention, Ringer, Sleeper};
pub(super) use pool_end::{Glance, Loan, PoolEnd, Withdrawal};
pub(super) use ring::{Head, LONGEST};
pub(super) use worker_end::{Next, WorkerEnd};
