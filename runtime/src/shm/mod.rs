//! Memory that processes share.
//!
//! [`Shared`] is one value, [`SharedSlice`] is many of one type. A clone is a handle to the same memory, and so is what another process
//! gets to which one is sent: as an argument, a result, or in a message, at any depth. Nothing is copied on the way, whatever the
//! size. The memory has no name and belongs to no process: it is there until the last handle is dropped, or the last process that has one
//! ends, however it does.
//!
//! # What safe code may do with it
//!
//! Others may write to it at any time, so that what lies there is [plain data](Plain), and what can be done depends on the type:
//!
//! | | |
//! |---|---|
//! | plain numbers, and arrays and structs of them | `get` and `set` make copies, byte by byte: a copy of a value that is written meanwhile may have some of the old bytes and some of the new, and that is all that can happen |
//! | made of [`Atomic`]s | `&T` and `&[T]`: a `Shared<AtomicU64>` is used as the `AtomicU64` that it is |
//! | a slice that was [frozen](SharedSlice::freeze) | `&[T]`, without a copy: nobody can write to it any more, and the kernel sees to it |
//! | any | `as_ptr`: unsafe code does what it answers for |
//!
//! For values that belong together there is [`sync::Mutex`](crate::sync::Mutex), which has one inside.
//!
//! No peer can make an access a fault, or undefined: the memory is [sealed](https://man7.org/linux/man-pages/man2/memfd_create.2.html)
//! against getting shorter when it is made, what is not is refused when it arrives, and what a process unmaps it unmaps for itself.
//!
//! # Names
//!
//! Processes that have nothing to do with each other can meet by a name: see [`Shared::publish`]. The name dies with whoever gave it.

mod frozen;
mod published;
mod shared;
mod slice;

pub use crate::sys::plain::{Atomic, Plain};
pub use frozen::FrozenSlice;
pub use published::Published;
pub use shared::Shared;
pub use slice::SharedSlice;
