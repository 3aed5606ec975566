//! The coverage profile of an instrumented build.
//!
//! LLVM writes it when the process ends, from a handler that it registers in a constructor of its own. A child that ends inside
//! of another constructor may never have come to that one, so it has to see to it.

use super::weak::symbol;

/// Does what the constructor of the profiling runtime does, in a build that is instrumented for coverage, if it has not been
/// done; does nothing in any other build.
pub(crate) fn begin() {
    let steps = [
        symbol!("__llvm_profile_register_write_file_atexit" as Function),
        symbol!("__llvm_profile_initialize" as Function),
    ];
    for step in steps.into_iter().flatten() {
        // SAFETY: each is a function without parameters that does its work once, however often it is called, and may be
        // called at any time before the process ends.
        unsafe { step() };
    }
}

type Function = unsafe extern "C" fn() -> libc::c_int;
