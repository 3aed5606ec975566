//! Starting a process: what is ordered, how the child comes to be, and how it finds its function.
//!
//! A start method makes a process that holds one end of a socket ([`Line`](crate::wire::Line)); everything else is the same for
//! all of them. Over that socket the parent sends the [`Birth`](message::birth::Birth) and the arguments, and the child answers when it
//! has reached its function, then with its value or its panic.

mod child;
mod identity;
mod lifeline;
mod mark;
mod message;
mod method;
mod parent;
mod patience;
mod settings;
mod stdio;

pub(crate) use child::{__rust_begin_short_backtrace, Copying};
pub use child::{defer, run_deferred};
pub use identity::{AuthKey, authkey};
pub(crate) use identity::{Identity, Parent, current};
pub use message::panic::Panic;
pub(crate) use message::reply::{Reply, receive as receive_reply};
#[cfg(test)]
pub(crate) use message::spilled::describe;
#[cfg(any(test, fuzzing))]
pub(crate) use message::spilled::{Spilled, receive as receive_spilled};
pub use method::{StartMethod, set_start_method};
pub(crate) use parent::{Order, Streams, replenish, start};
pub use parent::{prewarm, stop_helper};
pub(crate) use patience::MARGIN;
pub use settings::Settings;
pub use stdio::Stdio;

crate::sys::ctor::at_load!(child::at_load);
