//! Names of shared memory.

use crate::{
    error::{Error, Result},
    sys::{
        errno,
        fd::{AsFd, OwnedFd},
        mapping::Mapping,
        name::{self, Lost, Name},
    },
};
use std::io;

/// A published name of shared memory. [`Shared::publish`](super::Shared::publish) returns it.
///
/// The name is gone when this value is dropped, or when its process ends, however it ends. No other
/// process can remove it, and there is no file that could stay behind. A process that has opened
/// the memory keeps it.
///
/// Each user has names of their own. A name is valid within one network namespace and one pid
/// namespace, so each container has names of its own. If a process is copied by a bare `fork`, the
/// name stays taken as long as the copy runs.
///
/// # Protection
///
/// Only processes of the same user, and root, can open the memory. A process that opens a name
/// never gets memory of another user or another container. But any process in the network namespace
/// can take a name first. Then publishing that name fails (`EEXIST`).
///
/// The kernel lets only root look into a process that is not *dumpable*, for example a process that
/// was started as root and has changed its user. Other processes of that user cannot open the
/// memory that it has published (`EACCES`). If the process has no secrets, it can call
/// [`prctl(PR_SET_DUMPABLE, 1)`][dumpable]. Otherwise it can send the memory itself to its
/// children.
///
/// [dumpable]: https://man7.org/linux/man-pages/man2/PR_SET_DUMPABLE.2const.html
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
                Some(errno::EEXIST) => format!("the name `{name}` is taken"),
                Some(errno::EINVAL) => format!("`{name}` is no name for shared memory"),
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

/// Finds the memory that has this name, and maps it.
pub(super) fn open(
    name: &str,
    map: impl FnOnce(OwnedFd) -> io::Result<Mapping>,
) -> Result<Mapping> {
    let memory = name::find(name).map_err(|lost| {
        let errno = io::Error::from_raw_os_error;
        match lost {
            Lost::Nobody => Error::os(
                format!("no shared memory has the name `{name}`"),
                errno(errno::ENOENT),
            ),
            Lost::Invalid => Error::os(
                format!("`{name}` is no name for shared memory"),
                errno(errno::EINVAL),
            ),
            Lost::Denied => {
                let what = format!(
                    "the shared memory `{name}` may not be opened: the process that has named it is of another user or pid \
                     namespace, or is not dumpable"
                );
                Error::os(what, errno(errno::EACCES))
            }
            Lost::Unlisted(error) => Error::os(
                format!("the name `{name}` cannot be looked up{}", name::WHERE),
                // Without its errno, because `ENOENT` means that no memory has the name.
                io::Error::new(error.kind(), error),
            ),
        }
    })?;
    map(memory).map_err(|error| {
        Error::os(
            format!("the shared memory `{name}` cannot be opened"),
            error,
        )
    })
}
