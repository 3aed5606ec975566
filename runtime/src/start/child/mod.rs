//! The child's side of a start.

mod arrival;
pub(super) mod backtrace;
mod copied;
mod entry;
mod hook;
mod init;
mod line;
mod perform;
mod rehearsal;
mod server;
mod spill;
mod stage;
mod tell;

pub(crate) use copied::Copying;
pub(super) use copied::{Known, live_copied};
pub(crate) use entry::at_load;
pub use entry::{defer, run_deferred};
#[cfg(feature = "pool")]
pub(crate) use hook::caught_by_a_worker as caught;
pub use init::{InitOutput, add_init};
pub(super) use line::FAILED;
