// Used by generated code. Not public API.

pub use crate::{
    process::{Meta, MissingRun, output, run},
    wire::{ByRef, ByValue, Incoming, Mention, Outgoing, Shape},
};
