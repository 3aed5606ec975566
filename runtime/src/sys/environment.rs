//! Changing the environment of this process while nobody can be reading it.

use nix::errno::Errno;
use std::{
    env,
    ffi::{CString, OsStr},
    io,
};

/// Removes a variable from the environment of this process.
///
/// Only for the time before `main`, when no other thread of this process exists.
pub(crate) fn remove_before_main(name: impl AsRef<OsStr>) {
    // SAFETY: constructors run one after the other in the only thread there is, so nobody reads the environment meanwhile.
    unsafe { env::remove_var(name) };
}

/// Gives this process another environment: entries such as `NAME=value`.
///
/// Only for the time before the function of a child, when no other thread of this process exists.
pub(crate) fn replace_before_main(entries: impl IntoIterator<Item = Vec<u8>>) -> io::Result<()> {
    // SAFETY: nobody else reads the environment, see above.
    unsafe { libc::clearenv() };
    for entry in entries {
        // It is part of the environment from here on.
        let entry = CString::new(entry)?.into_raw();
        // SAFETY: as above; the string ends with a NUL and is never freed.
        Errno::result(unsafe { libc::putenv(entry) })?;
    }
    Ok(())
}
