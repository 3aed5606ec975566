//! Messages between processes.
//!
//! A [`queue`] has any number of senders and receivers, in any processes, and stores messages until
//! they are received. A [`pipe`] connects two processes: each holds one end, a [`Connection`].
//! [`one_way`] makes a pipe in which only one end sends. A message can be any value whose type is
//! [`Transfer`](crate::Transfer). A file or socket in a message is wrapped in [`Fd`](crate::Fd).
//! The ends can be sent to other processes too. [`wait`] waits for many of them at once, together
//! with processes and sockets. [`Tasks`] tells when all work that was handed out is done.
//!
//! Queues and pipes have no name and no file, so they leave nothing behind. Each exists as long as
//! some process holds an end of it.

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
mod stash;
mod tasks;
mod wait;

#[cfg(feature = "pool")]
pub(crate) use carrier::Carrier;
pub use connection::{Connection, one_way, pipe};
pub use error::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};
pub use iter::Iter;
#[cfg(feature = "pool")]
pub(crate) use parcel::{Packing, Parcel};
pub use queue::{IntoIter, Receiver, ReceiverIter, Sender, queue};
#[cfg(feature = "pool")]
pub(crate) use ring::Form;
#[cfg(feature = "pool")]
pub(crate) use stash::Stash;
pub use tasks::{Task, Tasks};
pub use wait::wait;
