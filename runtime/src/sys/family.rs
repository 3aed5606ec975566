//! The descendants of a process, as [proc(5)](https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html) tells of them, and who takes
//! over orphans.

use super::sentinel;
use nix::sys::prctl;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::fd::OwnedFd,
};

/// Has this process become the parent of those of its descendants whose own parent ends, so that they are found below it.
pub(crate) fn keep_orphans() -> io::Result<()> {
    Ok(prctl::set_child_subreaper(true)?)
}

/// What is told of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    state: char,
    start: u64,
}

fn stat(id: u32) -> Option<Stat> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name, which may hold anything, ends with the last parenthesis.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    Some(Stat {
        state: fields.next()?.chars().next()?,
        parent: fields.next()?.parse().ok()?,
        start: fields.nth(17)?.parse().ok()?,
    })
}

/// Returns every descendant of a process that has not ended: its id and the time of its start, which are its alone, and a pidfd.
pub(crate) fn living_descendants(root: u32) -> io::Result<Vec<((u32, u64), OwnedFd)>> {
    let mut stats = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let id = name.to_str().and_then(|name| name.parse().ok());
        // One that has ended meanwhile is no matter.
        if let Some((id, stat)) = id.and_then(|id| Some((id, stat(id)?))) {
            stats.insert(id, stat);
        }
    }
    let mut found = BTreeSet::from([root]);
    loop {
        let before = found.len();
        let below = stats
            .iter()
            .filter(|(_, stat)| found.contains(&stat.parent));
        let below: Vec<u32> = below.map(|(id, _)| *id).collect();
        found.extend(below);
        if found.len() == before {
            break;
        }
    }
    found.remove(&root);
    let mut pidfds = Vec::new();
    for id in found {
        let seen = stats
            .get(&id)
            .filter(|seen| !matches!(seen.state, 'Z' | 'X'));
        let Some(seen) = seen else { continue };
        let pidfd = match sentinel::open_pidfd(id) {
            Ok(pidfd) => pidfd,
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => continue,
            Err(error) => return Err(error),
        };
        // Opened first, and looked at then: it is not another process that was given the id.
        if stat(id).is_some_and(|stat| stat.start == seen.start) {
            pidfds.push(((id, seen.start), pidfd));
        }
    }
    Ok(pidfds)
}
