//! Starting a process: what is ordered, how the child comes to be, and how it finds its function.
//!
//! A start method makes a process that holds one end of a socket ([`Line`](crate::wire::Line)); everything else is the same for
//! all of them. Over that socket the parent sends the [`Birth`](birth::Birth) and the arguments, and the child answers when it
//! has reached its function, then with its value or its panic.

mod backtrace;
mod birth;
mod child;
mod entry;
mod fork;
mod helper;
mod heritage;
mod identity;
mod lifeline;
mod method;
mod newborn;
mod panic;
mod parent;
mod reply;
mod server;
mod settings;
mod spawn;
mod spilled;
mod stdio;

pub(crate) use backtrace::__rust_begin_short_backtrace;
pub(crate) use entry::Entry;
pub use entry::{defer, run_deferred};
pub(crate) use fork::Copying;
pub(crate) use helper::replenish;
pub use helper::{prewarm, stop_helper};
pub use identity::{AuthKey, authkey};
pub(crate) use identity::{Identity, Parent, current};
pub use method::{StartMethod, set_start_method};
pub use panic::Panic;
pub(crate) use parent::{MARGIN, Order, Streams, start};
pub(crate) use reply::{Reply, receive as receive_reply};
pub(crate) use settings::Settings;
#[cfg(test)]
pub(crate) use spilled::describe;
#[cfg(any(test, fuzzing))]
pub(crate) use spilled::{Spilled, receive as receive_spilled};
pub use stdio::Stdio;

crate::sys::ctor::at_load!(entry::at_load);
