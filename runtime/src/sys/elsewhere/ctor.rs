//! Functions that run when the program is loaded, before `main`. There are none here: no process is
//! a child.

/// Makes sure that there is such a function.
macro_rules! at_load {
    ($function:path) => {
        const _: fn() = $function;
    };
}
pub(crate) use at_load;

/// What `#[procession::main]` puts at the beginning of `main`.
#[macro_export]
#[doc(hidden)]
macro_rules! __deferred {
    () => {};
}
