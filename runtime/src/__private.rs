// Used by generated code. Not public API.

pub use crate::{
    process::{Meta, MissingRun, output, run},
    start::{Settings, defer, run_deferred},
    wire::{ByDescriptor, ByRef, ByValue, Incoming, Mention, Outgoing, Shape},
};

/// Whether a module is the root of its crate, which `#[procession::main]` must stand in to speak for the program: the `main` of
/// a doctest that was merged with others stands in a module.
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

/// What `#[procession::main]` puts at the beginning of `main`: the call that enters a child, and a constructor that says so
/// beforehand. The constructor comes before that of this crate, because sections with a number do.
///
/// Under test it is the harness that is started, not this `main`.
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
