//! Functions that run when the program is loaded, before `main`.

/// Has a function called before `main`, in every program that this crate is linked into.
///
/// The loader calls what `.init_array` points to, one after the other, in the only thread there is. The section is kept however
/// the program is linked; `#[used]` keeps the pointer through the compiler.
macro_rules! at_load {
    ($function:path) => {
        #[used]
        #[allow(unsafe_code, reason = "naming a section is unsafe")]
        // SAFETY: this section holds pointers to functions that may ignore their arguments, as this one does.
        #[unsafe(link_section = ".init_array")]
        static AT_LOAD: extern "C" fn() = {
            extern "C" fn at_load() {
                $function();
            }
            at_load
        };
    };
}
pub(crate) use at_load;
