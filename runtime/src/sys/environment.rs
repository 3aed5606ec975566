//! Removing variables from the environment.

use std::{env, ffi::OsStr};

/// Removes a variable from the environment of this process.
///
/// Only for the time before `main`, when no other thread of this process exists.
pub(crate) fn remove_before_main(name: impl AsRef<OsStr>) {
    // SAFETY: constructors run one after the other in the only thread there is, so nobody reads the environment meanwhile.
    unsafe { env::remove_var(name) };
}
