//! What travels between processes.

#![allow(missing_docs, reason = "tests")]

mod bulk;
mod descriptors;
mod parts;
mod transfer;
mod values;
