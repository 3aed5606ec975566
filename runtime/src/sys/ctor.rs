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

/// What `#[procession::init]` adds to a function: a constructor that makes it known. It runs before
/// the one of this crate, as that of [`__deferred`] does.
#[macro_export]
#[doc(hidden)]
macro_rules! __init {
    ($function:ident, $call:expr, $name:ident) => {
        const $name: () = {
            #[used]
            #[unsafe(link_section = ".init_array.00102")]
            // These names would hide a function of the user's that has one of them.
            static __PROCESSION_INIT: extern "C" fn() = {
                extern "C" fn __procession_init() {
                    $crate::__private::add_init(
                        ::core::concat!(
                            ::core::module_path!(),
                            "::",
                            ::core::stringify!($function)
                        ),
                        || $crate::__private::InitOutput::into_result($call),
                    );
                }
                __procession_init
            };
        };
    };
}
