//! The descendants of a process, as [proc(5)](https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html) shows them, and the process
//! that takes over orphans.

use super::{sentinel, stat::Stat};
use nix::sys::prctl;
use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    process,
};

/// Has this process become the parent of those of its descendants whose own parent ends, so that they are found below it.
pub(crate) fn keep_orphans() -> io::Result<()> {
    Ok(prctl::set_child_subreaper(true)?)
}

/// Whether a process is stopped by a signal or a debugger.
pub(crate) fn is_stopped(id: u32) -> bool {
    Stat::of(id).is_ok_and(|stat| matches!(stat.state, b'T' | b't'))
}

/// Fails where `/proc` does not show the processes by the ids that they have for this process.
pub(crate) fn check_proc() -> io::Result<()> {
    let foreign = || {
        io::Error::new(
            io::ErrorKind::Unsupported,
            "/proc is not that of the pid namespace of this process",
        )
    };
    // There is no such entry where the mounted namespace does not contain this process.
    let status = fs::read("/proc/thread-self/status").map_err(|_| foreign())?;
    let field = |name: &str| {
        let mut lines = status.split(|byte| *byte == b'\n');
        let line = lines.find_map(|line| line.strip_prefix(name.as_bytes()))?;
        str::from_utf8(line).ok()
    };
    let id = process::id().to_string();
    let is_own_id = field("Tgid:").is_some_and(|field| field.trim() == id);
    // One id for each namespace from the mounted one down to that of the process.
    let is_own_namespace = field("NSpid:").is_some_and(|ids| ids.split_whitespace().count() == 1);
    if is_own_id && is_own_namespace {
        Ok(())
    } else {
        Err(foreign())
    }
}

/// Descendants of a process. Each is held by a pidfd, so that none is taken for another one that got its id later.
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

    /// Adds the descendants of a process that live and are not in it yet, and returns their ids. Those that have ended are removed.
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
                // The order matters. While a process lives, its id is not another's: neither its own, of which the parent is read
                // when the pidfd is there, nor that of the parent, which has to live after that.
                let Some(stat) = Stat::of(*id).ok().filter(|stat| stat.parent == parent) else {
                    continue;
                };
                // The state does not tell whether it lives: where the main thread has ended before others, it is that of a zombie.
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

    /// Sends a signal to one of them, if it is still there to get it.
    pub(crate) fn signal(&self, id: u32, number: i32) -> io::Result<()> {
        let member = self.0.get(&id);
        member.map_or(Ok(()), |member| sentinel::signal(&member.pidfd, number))
    }

    /// Sends a signal to all of them, also when one may not be signalled; the error is that of the first such one.
    pub(crate) fn signal_all(&self, number: i32) -> io::Result<()> {
        let members = self.0.values();
        let sent = members.map(|member| sentinel::signal(&member.pidfd, number));
        sent.fold(Ok(()), Result::and)
    }

    /// Lets those go on that were not stopped before they were found.
    pub(crate) fn resume(&self) {
        for member in self.0.values().filter(|member| !member.was_stopped) {
            // One that may not be signalled was not stopped either.
            let _ = sentinel::signal(&member.pidfd, libc::SIGCONT);
        }
    }
}

/// Whether a process that is stopped, and so reaps nobody, has a child that lives.
///
/// One look at all processes proves nothing of those that are born and orphaned meanwhile. But of any living descendants there is one
/// that is a child of the process itself, and stays in its list when it has ended. So if all in the list have ended, and the list is
/// the same after that, there was none. Where the kernel has no such list nothing is said to live.
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

/// Whether there is a process of this id that has not ended: all of its threads.
fn lives(id: u32) -> bool {
    match sentinel::open_pidfd(id) {
        Ok(pidfd) => !sentinel::has_ended(pidfd.as_fd()),
        Err(error) => error.raw_os_error() != Some(libc::ESRCH),
    }
}

/// The children of a process, those included that have ended and not been reaped
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
        // One that has ended meanwhile is of no interest.
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
