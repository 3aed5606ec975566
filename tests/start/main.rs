//! How a process is started, and what may keep it from that.

#![allow(missing_docs, reason = "tests")]

mod canary;
mod copies;
mod entry;
mod environments;
mod failures;
mod fork;
mod forkserver;
mod inherited;
mod refused;
mod spares;
