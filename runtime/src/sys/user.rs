//! The user, the groups and the process group of this process.

use nix::unistd::{Gid, Pid, Uid, geteuid, setgid, setgroups, setpgid, setuid};
use std::io;

/// Puts this process into a process group. Zero means a new one of its own.
pub(crate) fn join_process_group(group: i32) -> io::Result<()> {
    Ok(setpgid(Pid::from_raw(0), Pid::from_raw(group))?)
}

/// Sets the supplementary groups.
pub(crate) fn set_groups(groups: &[u32]) -> io::Result<()> {
    let groups: Vec<_> = groups.iter().copied().map(Gid::from_raw).collect();
    Ok(setgroups(&groups)?)
}

/// Leaves all supplementary groups, if this process may do that. One that may not cannot become
/// another user either.
pub(crate) fn leave_groups() -> io::Result<()> {
    if geteuid().is_root() {
        setgroups(&[])?;
    }
    Ok(())
}

/// Sets the real, effective and saved group.
pub(crate) fn set_gid(gid: u32) -> io::Result<()> {
    Ok(setgid(Gid::from_raw(gid))?)
}

/// Sets the real, effective and saved user.
pub(crate) fn set_uid(uid: u32) -> io::Result<()> {
    Ok(setuid(Uid::from_raw(uid))?)
}
