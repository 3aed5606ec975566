//! The parent's side of a start.

mod by_fork;
mod by_helper;
mod by_spawn;
mod gifts;
mod helper;
mod launch;
mod newborn;
mod replies;
mod spares;
mod start;
mod stock;
mod tell;
mod ward;

pub(crate) use replies::Replies;
pub(crate) use spares::replenish;
pub use spares::{prewarm, stop_helper};
pub(crate) use start::{Order, Streams, start};
