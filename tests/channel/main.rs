//! Queues and pipes.

#![allow(missing_docs, reason = "tests")]

mod framing;
mod pipe;
mod queue;
