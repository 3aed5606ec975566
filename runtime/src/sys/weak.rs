//! Functions that a C library may be without, or a build.

/// The address of a symbol that may be missing, as a function of this type. Rust has weak references on nightly only, hence the
/// assembly: a weak symbol that nobody defines has a zero in the global offset table.
macro_rules! symbol {
    ($name:literal as $function:ty) => {{
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
        // SAFETY: a symbol of this name is a C function of this type, and none is a null pointer, which is `None`.
        unsafe { std::mem::transmute::<usize, Option<$function>>(address) }
    }};
}
pub(super) use symbol;
