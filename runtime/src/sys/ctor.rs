//! Functions that run when the program is loaded, before `main`.

/// Makes the loader call a function before `main`, in every program that this crate is linked into.
///
/// The loader calls the functions that `.init_array` points to, one after another. While a program
/// starts there is only one thread; a library that is loaded later by `dlopen` may find others. The
/// linker always keeps the section, and `#[used]` makes the compiler keep the pointer.
macro_rules! at_load {
    ($function:path) => {
        #[used]
        #[allow(unsafe_code, reason = "naming a section is unsafe")]
        // SAFETY: this section holds pointers to functions. They may ignore their arguments, as
        // this one does.
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
