//! Listeners, clients, and the protocol of Python.

#![allow(missing_docs, reason = "tests")]

mod listener;
mod peers;
mod python;
mod random;
