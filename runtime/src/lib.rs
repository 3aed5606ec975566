//! Processes for Rust, by annotation.

mod error;
mod process;
mod wire;

#[doc(hidden)]
pub mod __private;

pub use error::{Error, ErrorKind, Result};
pub use process::{Builder, Child, Process};
pub use procession_macros::{Process, main, process};
pub use wire::{Fd, Transfer};
/// How a process is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StartMethod {
    /// stub
    Spawn,
}
