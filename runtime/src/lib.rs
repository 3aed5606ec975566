//! Processes for Rust, by annotation.

#[cfg(not(all(
    target_os = "linux",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64"),
    any(target_env = "gnu", target_env = "musl")
)))]
compile_error!(
    "procession supports Linux on x86-64 and aarch64, with glibc or musl, and nothing else yet"
);

mod error;
mod process;
mod start;
mod sys;
mod wire;

#[doc(hidden)]
pub mod __private;

pub use error::{Error, ErrorKind, Result};
pub use process::{
    Builder, Child, Current, Handle, JoinError, JoinErrorKind, Parent, Process, children, current,
    join_all, parent, set_exit_grace, wait_any,
};
pub use procession_macros::{Process, main, process};
pub use start::{AuthKey, Panic, StartMethod, Stdio, authkey, set_start_method};
pub use wire::{Fd, Transfer};
