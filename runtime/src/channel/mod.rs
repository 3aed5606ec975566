//! Messages between processes: queues and pipes.

mod carrier;
mod error;
mod parcel;
mod patience;
mod queue;
mod ring;

pub use error::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};
pub use queue::{IntoIter, Receiver, Sender, queue};
