//! The coverage profile of an instrumented build.
//!
//! LLVM writes it when the process ends, from a handler that it registers in a constructor of its own. A child that ends inside
//! of another constructor may never have come to that one, so it has to see to it.

/// Does what the constructor of the profiling runtime does, in a build that is instrumented for coverage, if it has not been
/// done; does nothing in any other build.
pub(crate) fn begin() {
    let steps = [
        symbol!("__llvm_profile_register_write_file_atexit"),
        symbol!("__llvm_profile_initialize"),
    ];
    for step in steps.into_iter().flatten() {
        // SAFETY: each is a function without parameters that does its work once, however often it is called, and may be
        // called at any time before the process ends.
        unsafe { step() };
    }
}

type Function = unsafe extern "C" fn() -> libc::c_int;

/// The address of a symbol that may be missing. Rust has weak references on nightly only, hence the assembly: a weak symbol
/// that nobody defines has a zero in the global offset table.
macro_rules! symbol {
    ($name:literal) => {{
        let address: usize;
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the instruction reads one entry of the global offset table, which the linker makes for it.
        unsafe {
            std::arch::asm!(
                concat!(".weak ", $name),
                concat!("mov {}, qword ptr [rip + ", $name, "@GOTPCREL]"),
                out(reg) address,
                options(pure, readonly, nostack, preserves_flags),
            );
        }
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as above.
        unsafe {
            std::arch::asm!(
                concat!(".weak ", $name),
                concat!("adrp {0}, :got:", $name),
                concat!("ldr {0}, [{0}, :got_lo12:", $name, "]"),
                out(reg) address,
                options(pure, readonly, nostack, preserves_flags),
            );
        }
        // SAFETY: a symbol of this name is a C function without parameters, and none is a null pointer, which is `None`.
        unsafe { std::mem::transmute::<usize, Option<Function>>(address) }
    }};
}
use symbol;
