//! Whether running the executable again could give this process privileges that it does not have
//! now.

use nix::{
    errno::Errno,
    unistd::{getegid, geteuid, getgid, getuid},
};
use std::{fs, io, os::unix::fs::PermissionsExt, path::Path};

/// Why the executable must not be run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gain {
    /// This process got privileges from its executable: it runs in secure-execution mode.
    Secure,
    /// The real and the effective user or group differ, so an exec runs in secure-execution mode.
    Ids,
    /// The executable is set-user-ID or set-group-ID.
    SetId,
    /// The executable has file capabilities.
    Capabilities,
}

/// Returns whether the kernel started this process in secure-execution mode
/// ([getauxval(3)](https://man7.org/linux/man-pages/man3/getauxval.3.html)).
pub(crate) fn is_secure() -> bool {
    // SAFETY: the call takes an integer and reads what the kernel gave this process.
    (unsafe { libc::getauxval(libc::AT_SECURE) }) != 0
}

/// Returns why an exec of `executable` could bring privileges, or `None` if it could not.
pub(crate) fn gain(executable: &Path) -> io::Result<Option<Gain>> {
    if is_secure() {
        return Ok(Some(Gain::Secure));
    }
    if getuid() != geteuid() || getgid() != getegid() {
        return Ok(Some(Gain::Ids));
    }
    if fs::metadata(executable)?.permissions().mode() & (libc::S_ISUID | libc::S_ISGID) != 0 {
        return Ok(Some(Gain::SetId));
    }
    Ok(has_capabilities(executable)?.then_some(Gain::Capabilities))
}

fn has_capabilities(executable: &Path) -> io::Result<bool> {
    let path = std::ffi::CString::new(executable.as_os_str().as_encoded_bytes())?;
    // SAFETY: both strings end with a NUL. A size of zero asks for the length only, so nothing is
    // written.
    let length = unsafe {
        libc::getxattr(
            path.as_ptr(),
            c"security.capability".as_ptr(),
            std::ptr::null_mut(),
            0,
        )
    };
    match Errno::result(length) {
        Ok(_) => Ok(true),
        // The file has no such attribute, or its file system has no attributes.
        Err(Errno::ENODATA | Errno::EOPNOTSUPP | Errno::ENOSYS) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// The user that this process acts as.
pub(crate) fn user() -> u32 {
    geteuid().as_raw()
}
