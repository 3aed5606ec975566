//! Processes as users see them: how they are defined, how they are started and with which settings,
//! and how they end.

mod builder;
mod child;
mod current;
mod definition;
mod handle;
mod join_error;
mod life;
mod many;
mod misuse;
mod output;
mod reaper;
mod receiver;
mod registry;

pub use builder::Builder;
pub use child::Child;
pub use current::{Current, Parent, Worker, current, parent};
pub use definition::Process;
pub use handle::Handle;
#[cfg(feature = "pool")]
pub(crate) use join_error::{Cause, JobInfo};
pub use join_error::{JoinError, JoinErrorKind, Ran};
pub use many::{join_all, wait_any};
#[cfg(feature = "death")]
pub(crate) use output::{Keep, Stream};
pub use receiver::{AsyncOutput, HasRun, OtherOutput, run};
#[cfg(feature = "pool")]
pub(crate) use registry::before_end;
pub use registry::{children, set_exit_grace};
