//! The coverage profile of an instrumented build.
//!
//! LLVM writes the profile when the process ends, from a handler that one of its constructors
//! registers. A child that lives and ends inside another constructor may never reach that
//! constructor, so the child registers the handler itself.

use super::weak::symbol;

/// Does what the constructor of the profiling runtime does, unless it has been done already. Does
/// nothing in a build that is not instrumented for coverage.
pub(crate) fn begin() {
    let steps = [
        symbol!("__llvm_profile_register_write_file_atexit" as Function),
        symbol!("__llvm_profile_initialize" as Function),
    ];
    for step in steps.into_iter().flatten() {
        // SAFETY: each is a function without parameters. It does its work once, however often it is
        // called, and may be called at any time before the process ends.
        unsafe { step() };
    }
}

type Function = unsafe extern "C" fn() -> libc::c_int;
