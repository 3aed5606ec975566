// Used by generated code. Not public API.

pub use crate::{
    call::{Call, Meta, debug, skipped},
    process::{AsyncOutput, HasRun, OtherOutput, run},
    start::{InitOutput, Settings, add_init, defer, run_deferred},
    wire::{
        ByDynErr, ByErr, ByErrValue, ByNumbers, ByOk, ByParts, ByRef, ByValue, ByWhole, Incoming,
        Mention, Outgoing, Shape,
    },
};

/// Whether a module is the root of its crate. `#[procession::main]` speaks for the program only
/// there: the `main` of a doctest that was merged with other doctests is in a module.
#[must_use]
pub const fn is_root(module_path: &str) -> bool {
    let bytes = module_path.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        if bytes[index] == b':' {
            return false;
        }
        index += 1;
    }
    true
}

/// Hands on items. Generated code is put in here, so that a path of this crate that leads nowhere
/// is one error.
#[macro_export]
#[doc(hidden)]
macro_rules! __items {
    ($($tokens:tt)*) => { $($tokens)* };
}
