mod codec;
mod fd;
mod frame;
mod message;
mod shape;
mod transfer;

pub(crate) use codec::{decode, encode};
pub use fd::Fd;
pub(crate) use frame::{Frame, Line};
pub use message::{Incoming, Outgoing};
pub use shape::{ByRef, ByValue, Mention, Shape};
pub use transfer::Transfer;
