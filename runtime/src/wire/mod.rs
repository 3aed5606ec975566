//! Messages between processes: how values are encoded, and how messages travel over a socket.

mod beside;
mod blob;
mod bulk;
mod chain;
mod codec;
mod fd;
#[cfg(any(feature = "channel", feature = "net"))]
mod flat;
mod frame;
mod halves;
mod inbox;
#[cfg(feature = "__shared")]
mod label;
mod line;
mod message;
mod numbers;
mod outbox;
mod record;
mod remote_error;
mod shape;
mod transfer;

pub(crate) use blob::Sink;
#[cfg(test)]
pub(crate) use blob::kind as blob_kind;
pub use bulk::Bulk;
pub(crate) use codec::{decode, encode};
pub use fd::Fd;
pub(crate) use fd::unopened;
#[cfg(feature = "net")]
pub(crate) use flat::flat_length;
#[cfg(any(feature = "channel", feature = "net"))]
pub(crate) use flat::{flatten, unflatten};
pub(crate) use frame::{Frame, HEADER, header};
pub use halves::{ByDynErr, ByErr, ByErrValue, ByOk, ByWhole};
pub(crate) use inbox::{Inbox, Progress, Source, Until};
#[cfg(feature = "__shared")]
pub(crate) use label::Label;
pub(crate) use line::{Line, Look, SendFailure, Watch, is_end};
pub use message::{Incoming, Outgoing};
pub use numbers::ByNumbers;
pub(crate) use outbox::Outbox;
pub(crate) use record::{as_name, as_tuple};
pub use remote_error::RemoteError;
pub use shape::{ByParts, ByRef, ByValue, Mention, Shape};
#[cfg(feature = "net")]
pub(crate) use transfer::Lend;
pub use transfer::Transfer;
