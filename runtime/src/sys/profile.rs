//! The coverage profile of an instrumented build.
//!
//! LLVM writes it when the process ends, from a handler that it registers in a constructor of its own. A child that ends inside
//! of another constructor may never have come to that one, so it has to ask.

/// Writes the coverage profile, in a build that is instrumented for coverage; does nothing in any other.
pub(crate) fn write() {
    if let Some(initialize) = symbol!("__llvm_profile_initialize") {
        // SAFETY: the function is `void (void)`, and does its work once, however often it is called.
        unsafe { initialize() };
    }
    if let Some(write_file) = symbol!("__llvm_profile_write_file") {
        // SAFETY: the function is `int (void)`, whose result says whether the file was written: nothing to be done if not.
        unsafe { write_file() };
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
