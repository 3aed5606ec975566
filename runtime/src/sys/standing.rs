//! What the kernel lets a process do, and where it belongs: credentials, filters, namespaces, session, control group.

use super::signal;
use nix::{
    fcntl::{OFlag, open, openat, readlinkat},
    sys::stat::Mode,
};
use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, BorrowedFd},
};

/// The standing of the calling thread, to be compared with another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// What `/proc` says of it: the lines of [`LINES`].
    status: Vec<u8>,
    /// What the links of [`NAMESPACES`] lead to: of the first alone where the others cannot have changed unless it has.
    namespaces: Vec<OsString>,
    control_groups: Vec<u8>,
}

/// What is read together with the standing, since it is only told there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dispositions {
    /// The mask for new files. Asking the kernel by `umask` would change it for a moment, for every thread.
    pub(crate) umask: u32,
    /// Which of the signals for programs are ignored.
    pub(crate) ignored: signal::Mask,
}

const LINES: [&[u8]; 13] = [
    b"Uid:",
    b"Gid:",
    b"Groups:",
    b"NSpgid:",
    b"NSsid:",
    b"CapInh:",
    b"CapPrm:",
    b"CapEff:",
    b"CapBnd:",
    b"CapAmb:",
    b"NoNewPrivs:",
    b"Seccomp:",
    b"Seccomp_filters:",
];

/// The namespaces. All but the user namespace can be changed with `CAP_SYS_ADMIN` only, which a thread without it comes by in another
/// user namespace.
const NAMESPACES: [&str; 8] = [
    "ns/user",
    "ns/cgroup",
    "ns/ipc",
    "ns/mnt",
    "ns/net",
    "ns/pid_for_children",
    "ns/time_for_children",
    "ns/uts",
];

/// `CAP_SYS_ADMIN`, in a set of capabilities.
const SYS_ADMIN: u64 = 1 << 21;

/// Reads the standing of the calling thread.
pub(crate) fn read() -> io::Result<(Standing, Dispositions)> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let thread = open("/proc/thread-self", flags, Mode::empty())?;
    let text = read_file(thread.as_fd(), "status")?;
    let mut status = Vec::with_capacity(1024);
    let (mut umask, mut ignored, mut is_admin) = (None, None, true);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if LINES.iter().any(|name| line.starts_with(name)) {
            status.extend_from_slice(line);
        } else if let Some(value) = line.strip_prefix(b"Umask:") {
            umask = number(value, 8).and_then(|umask| u32::try_from(umask).ok());
        } else if let Some(value) = line.strip_prefix(b"SigIgn:") {
            ignored = number(value, 16).map(|ignored| ignored & signal::for_programs());
        }
        if let Some(value) = line.strip_prefix(b"CapPrm:") {
            is_admin = number(value, 16).is_none_or(|capabilities| capabilities & SYS_ADMIN != 0);
        }
    }
    let (Some(umask), Some(ignored)) = (umask, ignored) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    // A kernel may be without some namespace, and without control groups.
    let namespaces = &NAMESPACES[..if is_admin { NAMESPACES.len() } else { 1 }];
    let namespace = |name: &&str| readlinkat(&thread, *name).unwrap_or_default();
    let standing = Standing {
        status,
        namespaces: namespaces.iter().map(namespace).collect(),
        control_groups: read_file(thread.as_fd(), "cgroup").unwrap_or_default(),
    };
    Ok((standing, Dispositions { umask, ignored }))
}

/// Reads a file of `/proc`, most often by one call: what it says is made anew for each.
fn read_file(directory: BorrowedFd<'_>, name: &str) -> io::Result<Vec<u8>> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    let mut file = File::from(openat(directory, name, flags, Mode::empty())?);
    let mut buffer = [0; 4096];
    let length = file.read(&mut buffer)?;
    let mut text = buffer[..length].to_vec();
    if length == buffer.len() {
        file.read_to_end(&mut text)?;
    }
    Ok(text)
}

fn number(text: &[u8], radix: u32) -> Option<u64> {
    u64::from_str_radix(str::from_utf8(text).ok()?.trim(), radix).ok()
}

#[cfg(test)]
mod tests {
    use super::{LINES, read};

    #[test]
    fn standing_of_one_thread_is_one() {
        let (standing, dispositions) = read().unwrap();
        assert_eq!(read().unwrap(), (standing.clone(), dispositions));
        let lines = standing.status.split(|byte| *byte == b'\n').count() - 1;
        // Old kernels do not count filters.
        assert!((LINES.len() - 1..=LINES.len()).contains(&lines));
        assert!(dispositions.umask <= 0o777);
    }
}
