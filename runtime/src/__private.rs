// Used by generated code. Not public API.

pub use crate::{
    call::{Call, Meta, debug, skipped},
    process::{AsyncOutput, HasRun, OtherOutput, run},
    start::{Settings, defer, run_deferred},
    wire::{ByDescriptor, ByRef, ByValue, Incoming, Mention, Outgoing, Shape},
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

/// The code that `#[procession::main]` puts at the beginning of `main`: the call that enters a
/// child, and a constructor that announces this call beforehand. The constructor runs before the
/// one of this crate, because sections with a number come first.
///
/// Under `cargo test` there is no constructor: the test harness is started, not this `main`.
#[macro_export]
#[doc(hidden)]
macro_rules! __deferred {
    () => {
        #[cfg(not(test))]
        const _: () = {
            #[used]
            #[unsafe(link_section = ".init_array.00101")]
            static DEFER: extern "C" fn() = {
                extern "C" fn defer() {
                    if const { $crate::__private::is_root(::core::module_path!()) } {
                        $crate::__private::defer();
                    }
                }
                defer
            };
        };
        $crate::__private::run_deferred();
    };
}
