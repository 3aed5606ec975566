//! Memory that processes share.
//!
//! [`Shared`] is one value, and [`SharedSlice`] is many values of one type. A clone is another
//! handle to the same memory. A handle can be sent to another process as an argument, a result or
//! in a message, at any depth. Then that process has a handle to the same memory: nothing is
//! copied, whatever the size. The memory has no name and belongs to no process. It exists until the
//! last handle is dropped, in all processes. A process that ends drops its handles, however it
//! ends.
//!
//! # What safe code can do with it
//!
//! Other processes may write to the memory at any time, so it holds [plain data](Plain). What safe
//! code can do with it depends on the type:
//!
//! - Plain numbers, and arrays and structs of them: `get` and `set` copy the bytes of the value. If
//!   another process writes meanwhile, the copy may have some old and some new bytes. Nothing worse
//!   can happen.
//! - Types made of [`Atomic`]s: `&T` and `&[T]`. A `Shared<AtomicU64>` is used like an `AtomicU64`.
//! - A slice that was [frozen](SharedSlice::freeze): `&[T]`, without a copy. The kernel ensures
//!   that no process can write to it.
//! - Any type: `as_ptr` gives a pointer to unsafe code.
//!
//! If several values must change together, use a [`sync::Mutex`](crate::sync::Mutex), which has a
//! value inside.
//!
//! No other process can make an access crash or undefined behavior. New memory is
//! [sealed](https://man7.org/linux/man-pages/man2/memfd_create.2.html), so nobody can shorten it.
//! Received memory that is not sealed is refused. And a process can unmap the memory only for
//! itself.
//!
//! # Names
//!
//! Processes that are not related can share memory by a name: see [`Shared::publish`]. The name is
//! gone when the process that published it ends.

mod frozen;
mod published;
mod shared;
mod slice;

pub use crate::sys::plain::{Atomic, Immutable, Plain};
pub use frozen::FrozenSlice;
pub use published::Published;
pub use shared::Shared;
pub use slice::SharedSlice;
