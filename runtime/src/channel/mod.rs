//! Messages between processes.
//!
//! A [`queue`] has any number of senders and receivers, in any processes, and holds messages for them. A [`pipe`] joins two processes, each
//! of which has one end, a [`Connection`]; [`one_way`] makes one in which one side only sends. What can be sent is what can be an
//! argument: see [`Transfer`](crate::Transfer). The ends can be sent themselves. [`wait`] waits for many of them at once, and for processes
//! and sockets as well. [`Tasks`] tells when all that was handed out is done.
//!
//! No name and no file stands for any of these, and none is left of them: they are there for as long as somebody has an end.

#[macro_use]
pub(crate) mod step;
mod bundle;
mod carrier;
mod connection;
mod end;
mod error;
mod iter;
mod parcel;
mod queue;
mod receiving;
mod ring;
#[cfg(test)]
mod search;
mod tasks;
mod wait;

pub use connection::{Connection, one_way, pipe};
pub use error::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};
pub use iter::Iter;
pub use queue::{IntoIter, Receiver, Sender, queue};
pub use tasks::{Task, Tasks};
pub use wait::wait;
