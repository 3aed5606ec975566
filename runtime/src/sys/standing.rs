//! What the kernel lets a process do, and where it belongs: credentials, filters, namespaces, session, control group.

use nix::sys::stat::{FileStat, stat};
use std::{fs, io};

/// The standing of the calling thread, to be compared with another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// What `/proc` says of it: the lines of [`LINES`].
    status: Vec<u8>,
    /// Device and inode of each namespace of [`NAMESPACES`].
    namespaces: Vec<(u64, u64)>,
    control_groups: Vec<u8>,
}

/// What is read together with the standing, since it is only told there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dispositions {
    /// The mask for new files. Asking the kernel by `umask` would change it for a moment, for every thread.
    pub(crate) umask: u32,
    /// The signals that are ignored, one bit each.
    pub(crate) ignored: u64,
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

const NAMESPACES: [&str; 8] = [
    "cgroup",
    "ipc",
    "mnt",
    "net",
    "pid_for_children",
    "time_for_children",
    "user",
    "uts",
];

/// Reads the standing of the calling thread.
pub(crate) fn read() -> io::Result<(Standing, Dispositions)> {
    let text = fs::read("/proc/thread-self/status")?;
    let mut status = Vec::with_capacity(512);
    let (mut umask, mut ignored) = (None, None);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if LINES.iter().any(|name| line.starts_with(name)) {
            status.extend_from_slice(line);
        } else if let Some(value) = line.strip_prefix(b"Umask:") {
            umask = number(value, 8).and_then(|umask| u32::try_from(umask).ok());
        } else if let Some(value) = line.strip_prefix(b"SigIgn:") {
            ignored = number(value, 16);
        }
    }
    let (Some(umask), Some(ignored)) = (umask, ignored) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let standing = Standing {
        status,
        namespaces: NAMESPACES.iter().map(|name| namespace(name)).collect(),
        // A kernel without control groups has no such file.
        control_groups: fs::read("/proc/thread-self/cgroup").unwrap_or_default(),
    };
    Ok((standing, Dispositions { umask, ignored }))
}

fn number(text: &[u8], radix: u32) -> Option<u64> {
    u64::from_str_radix(str::from_utf8(text).ok()?.trim(), radix).ok()
}

/// A kernel without a namespace of this kind has no file for it.
fn namespace(name: &str) -> (u64, u64) {
    let path = format!("/proc/thread-self/ns/{name}");
    stat(path.as_str()).map_or((0, 0), |FileStat { st_dev, st_ino, .. }| (st_dev, st_ino))
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
