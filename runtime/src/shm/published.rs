//! Memory with a name.

use crate::{
    error::{Error, ErrorKind, Result},
    sys::{
        mapping::Mapping,
        name::{self, Lost, Name},
    },
};
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

/// A name that shared memory has: what [`Shared::publish`](super::Shared::publish) returns.
///
/// The name is gone when this is dropped, or when the process ends that has it, however it does; nobody else can take it away, and
/// there is no file that could be left behind. Those who have opened the memory keep it.
///
/// The names of a user are the user's own, and hold within one network namespace and one pid namespace: a container is its own. A
/// copy of the process made by a bare `fork` keeps the name from being given again as long as it lives.
///
/// # What a name protects from
///
/// Only processes of the same user, and root, can open the memory, and they are never led to memory of another user or another
/// container. But any process of the network namespace can take a name first, so that it cannot be given (`EEXIST`).
///
/// The kernel lets nobody but root look into a process that is not *dumpable*: one that was started as root and has changed its user,
/// for example. The memory that it has named cannot be opened by processes of that user (`EACCES`). It can call
/// [`prctl(PR_SET_DUMPABLE, 1)`](https://man7.org/linux/man-pages/man2/PR_SET_DUMPABLE.2const.html), if it has no secrets, or send the
/// memory itself to its children.
///
/// # Examples
///
/// ```
/// use procession::{process, shm::Shared};
/// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
///
/// #[process]
/// fn visit(name: &str) {
///     // It could be any process of this user.
///     Shared::<AtomicU32>::open(name).unwrap().fetch_add(1, Relaxed);
/// }
///
/// let visits = Shared::new(AtomicU32::new(0))?;
/// let name = format!("visits-{}", std::process::id());
/// let published = visits.publish(&name)?;
/// visit::spawn(&name)?.join()?;
/// assert_eq!(visits.load(Relaxed), 1);
/// drop(published);
/// assert!(Shared::<AtomicU32>::open(&name).is_err());
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "the name is gone when this is dropped"]
pub struct Published {
    name: String,
    _bound: Name,
}

impl Published {
    pub(super) fn new(name: &str, mapping: &Mapping) -> Result<Self> {
        let bound = Name::bind(name, mapping.as_fd()).map_err(|error| {
            let what = match error.raw_os_error() {
                Some(libc::EEXIST) => format!("the name `{name}` is taken"),
                Some(libc::EINVAL) => format!("`{name}` is no name for shared memory"),
                _ => format!("shared memory cannot be given the name `{name}`"),
            };
            Error::os(what, error)
        })?;
        Ok(Self {
            name: name.to_owned(),
            _bound: bound,
        })
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Maps what has this name.
pub(super) fn open(
    name: &str,
    map: impl FnOnce(OwnedFd) -> io::Result<Mapping>,
) -> Result<Mapping> {
    let memory = name::find(name).map_err(|lost| {
        let errno = io::Error::from_raw_os_error;
        match lost {
            Lost::Nobody => Error::os(
                format!("no shared memory has the name `{name}`"),
                errno(libc::ENOENT),
            ),
            Lost::Invalid => Error::os(
                format!("`{name}` is no name for shared memory"),
                errno(libc::EINVAL),
            ),
            Lost::Denied => {
                let what = format!(
                    "the shared memory `{name}` may not be opened: the process that has named it is of another user or pid \
                     namespace, or is not dumpable"
                );
                Error::os(what, errno(libc::EACCES))
            }
            Lost::Unlisted(error) => Error::new(
                ErrorKind::Os,
                format!("the name `{name}` cannot be looked up in `/proc`"),
            )
            // Without its errno: ENOENT is said where there is no such name.
            .because(io::Error::new(error.kind(), error)),
        }
    })?;
    map(memory).map_err(|error| {
        Error::os(
            format!("the shared memory `{name}` cannot be opened"),
            error,
        )
    })
}
