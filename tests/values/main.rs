//! What travels between processes.

#![allow(missing_docs, reason = "tests")]

mod bulk;
mod descriptors;
mod errors;
mod parts;
mod transfer;
mod values;
