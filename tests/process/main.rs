//! What a process is started with, what it gives back, and how it ends.

#![allow(missing_docs, reason = "tests")]

mod attribute;
mod bounds;
mod death;
mod ends;
mod events;
mod exit;
mod forms;
mod generics;
mod handles;
mod init;
mod join;
mod last_words;
mod limits;
mod settings;
mod structs;
mod tree;
