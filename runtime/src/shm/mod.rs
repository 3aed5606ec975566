//! Memory.

pub use crate::sys::plain::{Atomic, Plain};
