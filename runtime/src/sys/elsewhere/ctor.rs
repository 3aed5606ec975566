//! Functions that run when the program is loaded, before `main`. There are none here: no process is
//! a child.

/// Keeps such a function, which nothing calls.
macro_rules! at_load {
    ($function:path) => {
        #[used]
        static AT_LOAD: fn() = $function;
    };
}
pub(crate) use at_load;

/// What `#[procession::main]` puts at the beginning of `main`.
#[macro_export]
#[doc(hidden)]
macro_rules! __deferred {
    () => {};
}

/// What `#[procession::init]` adds to a function: nothing but a check of what it returns.
#[macro_export]
#[doc(hidden)]
macro_rules! __init {
    ($function:ident, $call:expr, $name:ident) => {
        const $name: () = {
            // So that the function counts as used.
            #[used]
            static __PROCESSION_INIT: fn() = || {
                let _ = || $crate::__private::InitOutput::into_result($call);
            };
        };
    };
}
