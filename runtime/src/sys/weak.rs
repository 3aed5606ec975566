//! Functions that may be missing from a C library, or from a build.

/// Returns the address of a symbol that may be missing, as an `Option` of a function of this type.
/// Rust has weak references on nightly only. Hence the assembly: a weak symbol that nothing defines
/// has a zero in the global offset table.
macro_rules! symbol {
    ($name:literal as $function:ty) => {{
        let address: usize;
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the instruction reads one entry of the global offset table, which the linker
        // makes for it.
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
        // SAFETY: a symbol of this name is a C function of this type. A missing one is a null
        // pointer, which is `None`.
        unsafe { std::mem::transmute::<usize, Option<$function>>(address) }
    }};
}
pub(super) use symbol;
