//! The descendants of a process, as
//! [proc(5)](https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html) shows them, and the
//! process that takes over orphans.

use super::{sentinel, stat::Stat};
use nix::sys::prctl;
use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    process,
};

/// Makes this process the parent of each of its descendants whose own parent ends, so that they are
/// found below it.
pub(crate) fn keep_orphans() -> io::Result<()> {
    Ok(prctl::set_child_subreaper(true)?)
}

/// Whether a process is stopped by a signal or a debugger.
pub(crate) fn is_stopped(id: u32) -> bool {
    Stat::of(id).is_ok_and(|stat| matches!(stat.state, b'T' | b't'))
}

/// Fails unless `/proc` shows processes by the ids that they have for this process.
pub(crate) fn check_proc() -> io::Result<()> {
    let foreign = || {
        io::Error::new(
            io::ErrorKind::Unsupported,
            "/proc is not that of the pid namespace of this process",
        )
    };
    // The entry is missing if the mounted namespace does not contain this process.
    let status = fs::read("/proc/thread-self/status").map_err(|_| foreign())?;
    let field = |name: &str| {
        let mut lines = status.split(|byte| *byte == b'\n');
        let line = lines.find_map(|line| line.strip_prefix(name.as_bytes()))?;
        str::from_utf8(line).ok()
    };
    let id = process::id().to_string();
    let is_own_id = field("Tgid:").is_some_and(|field| field.trim() == id);
    // There is one id for each namespace, from the mounted one down to that of the process.
    let is_own_namespace = field("NSpid:").is_some_and(|ids| ids.split_whitespace().count() == 1);
    if is_own_id && is_own_namespace {
        Ok(())
    } else {
        Err(foreign())
    }
}

/// Descendants of a process. Each is held by a pidfd, so that it is not mistaken for another
/// process that gets its id later.
#[derive(Debug, Default)]
pub(crate) struct Family(BTreeMap<u32, Member>);

#[derive(Debug)]
struct Member {
    pidfd: OwnedFd,
    /// Whether somebody else had stopped it before it was found.
    was_stopped: bool,
}

impl Family {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn pidfds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.values().map(|member| member.pidfd.as_fd())
    }

    /// Adds the living descendants of a process that are not members yet, and returns their ids.
    /// Members that have ended are removed.
    ///
    /// `root_lives` tells whether the process still has its id.
    pub(crate) fn grow(
        &mut self,
        root: u32,
        root_lives: impl Fn() -> bool,
    ) -> io::Result<Vec<u32>> {
        self.0
            .retain(|_, member| !sentinel::has_ended(member.pidfd.as_fd()));
        let children = children_by_parent()?;
        let mut parents: Vec<u32> = self.0.keys().copied().chain([root]).collect();
        let mut new = Vec::new();
        while let Some(parent) = parents.pop() {
            for id in children.get(&parent).into_iter().flatten() {
                let Entry::Vacant(place) = self.0.entry(*id) else {
                    continue;
                };
                let pidfd = match sentinel::open_pidfd(*id) {
                    Ok(pidfd) => pidfd,
                    // It has ended meanwhile.
                    Err(error) if error.raw_os_error() == Some(libc::ESRCH) => continue,
                    Err(error) => return Err(error),
                };
                // The order matters. While a process lives, no other process has its id. So these
                // steps come in this order:
                // 1. The pidfd is opened before the parent of the id is read. If the process of the
                //    pidfd still lives after that, the parent that was read is its own.
                // 2. The parent must also live after that. If it does, the parent id that was read
                //    is its own, and not that of another process.
                let Some(stat) = Stat::of(*id).ok().filter(|stat| stat.parent == parent) else {
                    continue;
                };
                // The state does not tell whether the process lives. If the main thread has ended
                // before other threads, the state is that of a zombie.
                if sentinel::has_ended(pidfd.as_fd()) {
                    continue;
                }
                place.insert(Member {
                    pidfd,
                    was_stopped: matches!(stat.state, b'T' | b't'),
                });
                let parent_lives = match self.0.get(&parent) {
                    Some(member) => !sentinel::has_ended(member.pidfd.as_fd()),
                    None => root_lives(),
                };
                if parent_lives {
                    new.push(*id);
                    parents.push(*id);
                } else {
                    self.0.remove(id);
                }
            }
        }
        Ok(new)
    }

    /// Sends a signal to one member, if it is still there to get it.
    pub(crate) fn signal(&self, id: u32, number: i32) -> io::Result<()> {
        let member = self.0.get(&id);
        member.map_or(Ok(()), |member| sentinel::signal(&member.pidfd, number))
    }

    /// Sends a signal to all members, even if one may not be signalled. Returns the first error.
    pub(crate) fn signal_all(&self, number: i32) -> io::Result<()> {
        let members = self.0.values();
        let sent = members.map(|member| sentinel::signal(&member.pidfd, number));
        sent.fold(Ok(()), Result::and)
    }

    /// Resumes the members that were not stopped before they were found.
    pub(crate) fn resume(&self) {
        for member in self.0.values().filter(|member| !member.was_stopped) {
            // A member that may not be signalled was not stopped either.
            let _ = sentinel::signal(&member.pidfd, libc::SIGCONT);
        }
    }
}

/// Whether a process that is stopped, and so reaps no child, has a living child.
///
/// One look at all processes proves nothing of those that are born and orphaned meanwhile. But if
/// there are living descendants, one of them is a child of the process itself, and it stays in its
/// list after it has ended. So if all children in the list have ended, and the list is the same
/// after that, there was no living descendant. If the kernel has no such list, the answer is no.
pub(crate) fn has_living_child(id: u32) -> bool {
    let mut listed = listed_children(id);
    loop {
        if listed.iter().any(|child| lives(*child)) {
            return true;
        }
        let again = listed_children(id);
        if again == listed {
            return false;
        }
        listed = again;
    }
}

/// Whether there is a process of this id that has not ended. It has ended when all of its threads
/// have.
fn lives(id: u32) -> bool {
    match sentinel::open_pidfd(id) {
        Ok(pidfd) => !sentinel::has_ended(pidfd.as_fd()),
        Err(error) => error.raw_os_error() != Some(libc::ESRCH),
    }
}

/// Returns the children of a process, including those that have ended and have not been reaped
/// ([proc(5)](https://man7.org/linux/man-pages/man5/proc_pid_task.5.html)).
fn listed_children(id: u32) -> Vec<u32> {
    let mut children = Vec::new();
    for task in fs::read_dir(format!("/proc/{id}/task"))
        .into_iter()
        .flatten()
    {
        let list = task.and_then(|task| fs::read_to_string(task.path().join("children")));
        let list = list.unwrap_or_default();
        children.extend(
            list.split_whitespace()
                .filter_map(|id| id.parse::<u32>().ok()),
        );
    }
    children
}

/// Returns the ids of all processes, by the id of the parent.
fn children_by_parent() -> io::Result<BTreeMap<u32, Vec<u32>>> {
    let mut children = BTreeMap::<_, Vec<_>>::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let id = name.to_str().and_then(|name| name.parse().ok());
        // A process that has ended meanwhile does not matter.
        if let Some((id, stat)) = id.and_then(|id| Some((id, Stat::of(id).ok()?))) {
            children.entry(stat.parent).or_default().push(id);
        }
    }
    Ok(children)
}

#[cfg(test)]
mod tests {
    use super::check_proc;

    #[test]
    fn own_proc_is_known() {
        check_proc().unwrap();
    }
}
