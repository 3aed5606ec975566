//! Starting a process: the order, the messages between parent and child, and the way of the child
//! to its function.
//!
//! A start method makes a process that holds one end of a socket. Everything else is the same for
//! all methods. The parent sends the [`Birth`](message::birth::Birth) and the arguments over that
//! socket. The child answers when it has reached its function, and later with its value or its
//! panic.
//!
//! - `parent` has the parent's side, with one file for each start method.
//! - `message` has the messages. Both sides read it.
//! - `child` has the child's side.
//!
//! # The words of a start
//!
//! | Word | Meaning |
//! |---|---|
//! | Order | what the caller wants to start: a function, its arguments and its settings |
//! | Settings | what a `Builder` or an attribute sets: environment, limits, streams and so on |
//! | Line | one end of the socket between parent and child, with the time limits for its use |
//! | Birth | the first message to a child: its identity, its function and its settings |
//! | Gift | a descriptor that the parent gives to the child |
//! | Role | what a gift is for, for example standard input |
//! | Identity | what a process knows about itself: its name, its parent and so on |
//! | Newborn | a child that has not reached its function yet; dropping it kills and reaps it |
//! | Ward | a child that is killed and reaped if nobody takes it over |
//! | Sentinel | the descriptor that tells the end of a process: a pidfd, or else a pipe |
//! | Lifeline | a pipe by which the kernel kills a daemon when its parent ends |
//! | Helper | the process of one thread that forks children (the forkserver start method) |
//! | Spare | a child that the helper has forked in advance, and that waits for its birth |
//! | Heritage | the state that a child inherits and can change itself: umask, limits and so on |
//! | Changes | the difference between the heritage of the helper and that of its owner now |
//! | Standing | the state that only a new helper can take on: user, namespaces, session and so on |

mod bond;
mod child;
mod environment;
mod event;
mod identity;
mod lifeline;
mod mark;
mod message;
mod method;
mod parent;
mod patience;
mod seat;
mod settings;
mod stdio;

pub(crate) use bond::{AtExit, Bond};
#[cfg(feature = "pool")]
pub(crate) use child::caught;
pub(crate) use child::{Copying, at_load};
pub use child::{InitOutput, add_init, defer, run_deferred};
pub(crate) use environment::Environment;
#[cfg(feature = "tracing")]
pub(crate) use event::listen;
pub(crate) use event::{About, Event, tell};
pub use identity::{AuthKey, authkey};
pub(crate) use identity::{Identity, Parent, current};
#[cfg(feature = "pool")]
pub(crate) use message::failure::Failure;
pub use message::panic::Panic;
pub(crate) use message::reply::Reply;
#[cfg(any(test, fuzzing))]
pub(crate) use message::reply::kind::MEMORY;
#[cfg(test)]
pub(crate) use message::reply::kind::RETURNED;
pub(crate) use method::check_support;
pub use method::{StartMethod, set_start_method};
pub(crate) use parent::{Order, Replies, Streams, replenish, start};
pub use parent::{prewarm, stop_helper};
pub(crate) use patience::{LAST_BREATH, MARGIN};
pub(crate) use seat::{Seat, job, seat, want_rest};
#[cfg(feature = "pool")]
pub(crate) use seat::{begin_job, take_seat, wants_rest};
pub(crate) use settings::arguments_in_docs;
pub use settings::{Setting, Settings};
pub use stdio::Stdio;
