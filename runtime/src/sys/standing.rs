//! What the kernel lets a process do, and where the process belongs: credentials, filters,
//! sandboxes, namespaces, root directory, session, control group, and whatever else a process
//! inherits and one call tells.

use super::signal;
use nix::{
    errno::Errno,
    fcntl::{OFlag, open, openat, readlinkat},
    sys::stat::Mode,
};
use std::{
    ffi::{OsString, c_int, c_long, c_ulong},
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, BorrowedFd},
};

/// The standing of the calling thread, to be compared with another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// What `/proc` says of the thread: the lines of [`LINES`].
    status: Vec<u8>,
    /// The targets of the links in [`NAMESPACES`]. Only the first is read if the others cannot have
    /// changed without it.
    namespaces: Vec<OsString>,
    control_groups: Vec<u8>,
    root: Option<Root>,
    label: Vec<u8>,
    memory_policy: MemoryPolicy,
    /// What the calls of [`attributes`] return.
    attributes: [c_long; ATTRIBUTES],
}

/// The root directory. After a `chroot` it may be the same directory, reached by another mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Root {
    device: (u32, u32),
    inode: u64,
    mount: u64,
}

/// What is read together with the standing, since no other place tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dispositions {
    /// The mask for new files. The call `umask` cannot ask for it without changing it for a moment,
    /// for every thread.
    pub(crate) umask: u32,
    /// Which of the signals that a program may use are ignored.
    pub(crate) ignored: signal::Mask,
}

const LINES: [&[u8]; 15] = [
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
    b"Speculation_Store_Bypass:",
    b"SpeculationIndirectBranch:",
];

/// The namespaces. All but the user namespace can be changed only with `CAP_SYS_ADMIN`. A thread
/// without it gets it only by entering another user namespace.
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
    // A kernel may lack some namespaces, and may lack control groups.
    let namespaces = &NAMESPACES[..if is_admin { NAMESPACES.len() } else { 1 }];
    let namespace = |name: &&str| readlinkat(&thread, *name).unwrap_or_default();
    let standing = Standing {
        status,
        namespaces: namespaces.iter().map(namespace).collect(),
        control_groups: read_file(thread.as_fd(), "cgroup").unwrap_or_default(),
        root: root(),
        label: label(thread.as_fd()),
        memory_policy: memory_policy(),
        attributes: attributes(),
    };
    Ok((standing, Dispositions { umask, ignored }))
}

/// Whether children of this process are born into another PID namespace than its own. A helper
/// would be the first process there, and could create no siblings.
pub(crate) fn has_children_elsewhere() -> bool {
    let link = |name| nix::fcntl::readlink(name).unwrap_or_default();
    link("/proc/thread-self/ns/pid") != link("/proc/thread-self/ns/pid_for_children")
}

/// Whether this thread may look at another process. A thread that has entered a sandbox such as a
/// Landlock domain may not look at a process outside of it. This is the only sign of some
/// sandboxes: `/proc` does not tell
/// ([landlock(7)](https://man7.org/linux/man-pages/man7/landlock.7.html)).
pub(crate) fn may_look_at(process: u32) -> bool {
    let (mut list, mut size) = (std::ptr::null::<libc::c_void>(), 0_usize);
    // This call looks at one address at most, and needs no file system.
    // SAFETY: both results are valid places to write to.
    let got = unsafe {
        libc::syscall(
            libc::SYS_get_robust_list,
            process.cast_signed(),
            &raw mut list,
            &raw mut size,
        )
    };
    got == 0
}

fn root() -> Option<Root> {
    // SAFETY: `statx` is a plain C struct, for which all zeros are a valid value.
    let mut found: libc::statx = unsafe { std::mem::zeroed() };
    let mask = libc::STATX_INO | libc::STATX_MNT_ID;
    // SAFETY: the path ends with a NUL, and the result is a valid place to write to.
    let got = unsafe {
        libc::syscall(
            libc::SYS_statx,
            libc::AT_FDCWD,
            c"/".as_ptr(),
            libc::AT_STATX_DONT_SYNC,
            mask,
            &raw mut found,
        )
    };
    (got == 0).then_some(Root {
        device: (found.stx_dev_major, found.stx_dev_minor),
        inode: found.stx_ino,
        mount: found.stx_mnt_id,
    })
}

/// Returns the label that a security module has given this thread. It is empty if there is none.
fn label(thread: BorrowedFd<'_>) -> Vec<u8> {
    /// The number is the same on every architecture. The call exists since Linux 6.8.
    const LSM_GET_SELF_ATTR: c_long = 459;
    const LSM_ATTR_CURRENT: libc::c_uint = 100;
    let mut label = [0; 1024];
    let mut size = u32::try_from(label.len()).unwrap_or_default();
    // SAFETY: both results are valid places to write to, and the first has the length that the
    // second says.
    let got = Errno::result(unsafe {
        libc::syscall(
            LSM_GET_SELF_ATTR,
            LSM_ATTR_CURRENT,
            label.as_mut_ptr(),
            &raw mut size,
            0_u32,
        )
    });
    match got {
        Ok(_) => label[..(size as usize).min(label.len())].to_vec(),
        // An older kernel, or a filter that does not know the call.
        Err(Errno::ENOSYS | Errno::EPERM) => read_file(thread, "attr/current").unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}

/// The policy by which memory is taken from NUMA nodes, and the nodes.
type MemoryPolicy = (c_int, [c_ulong; 16]);

fn memory_policy() -> MemoryPolicy {
    let mut policy: MemoryPolicy = (-1, [0; 16]);
    let address: *const libc::c_void = std::ptr::null();
    // SAFETY: both results are valid places to write to, and the second has the length that is
    // passed, in bits.
    unsafe {
        libc::syscall(
            libc::SYS_get_mempolicy,
            &raw mut policy.0,
            policy.1.as_mut_ptr(),
            8 * size_of_val(&policy.1),
            address,
            0_u64,
        )
    };
    policy
}

const ATTRIBUTES: usize = 10;

/// Returns what else is inherited and told by one call each. If the kernel does not know a call,
/// the error is the same each time.
fn attributes() -> [c_long; ATTRIBUTES] {
    const PR_GET_MDWE: c_int = 66;
    const PR_GET_MEMORY_MERGE: c_int = 68;
    const KEYCTL_GET_KEYRING_ID: c_int = 0;
    const KEY_SPEC_SESSION_KEYRING: c_int = -3;
    const ASK: c_ulong = 0xffff_ffff;
    let state = |option: c_int| {
        // SAFETY: each of these options takes nothing, answers by the value that it returns, and
        // changes nothing.
        (unsafe { libc::prctl(option, 0_u64, 0_u64, 0_u64, 0_u64) }).into()
    };
    // musl's functions for the scheduler and its parameter refuse, and its struct is larger than
    // the kernel's.
    let mut priority: c_int = 0;
    // SAFETY: the result is a valid place to write to; a pid of zero is this thread.
    unsafe { libc::syscall(libc::SYS_sched_getparam, 0, &raw mut priority) };
    [
        // SAFETY: this value asks and changes nothing.
        unsafe { libc::personality(ASK) }.into(),
        // SAFETY: the call takes integers. The last is zero, so a keyring that does not exist is
        // not created.
        unsafe {
            libc::syscall(
                libc::SYS_keyctl,
                KEYCTL_GET_KEYRING_ID,
                KEY_SPEC_SESSION_KEYRING,
                0,
            )
        },
        // SAFETY: the call takes an integer; a pid of zero is this thread.
        unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) },
        priority.into(),
        state(libc::PR_GET_SECUREBITS),
        state(libc::PR_GET_THP_DISABLE),
        state(libc::PR_MCE_KILL_GET),
        state(libc::PR_GET_TIMERSLACK),
        state(PR_GET_MDWE),
        state(PR_GET_MEMORY_MERGE),
    ]
}

/// Reads a file of `/proc`, most often by one call: the kernel makes the text anew for each call.
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
        // Old kernels do not count filters, and do not tell both kinds of speculation.
        assert!((LINES.len() - 3..=LINES.len()).contains(&lines));
        assert!(standing.root.is_some());
        assert!(dispositions.umask <= 0o777);
    }
}
