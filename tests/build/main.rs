//! What is compiled anew: programs built in other ways, and misuse.

#![allow(missing_docs, reason = "tests")]

mod builds;
mod ui;
