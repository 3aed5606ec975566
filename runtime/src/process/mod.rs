//! Processes as users see them: what is started, with which settings, and what becomes of it.

mod builder;
mod child;
mod definition;
mod misuse;
mod receiver;

pub use builder::Builder;
pub use child::Child;
pub use definition::{Meta, Process};
pub use receiver::{MissingRun, output, run};
