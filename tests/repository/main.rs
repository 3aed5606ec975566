//! What stands in the files of the repository.

#![allow(missing_docs, reason = "tests")]

mod examples;
mod settings;
mod tidy;
