//! Queues and pipes, and connections: listeners, clients, and the protocol of Python.

#![allow(missing_docs, reason = "tests")]

mod framing;
mod listener;
mod peers;
mod pipe;
mod python;
mod queue;
mod random;
