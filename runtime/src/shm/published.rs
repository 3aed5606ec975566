//! Memory with a name.

use crate::{
    error::{Error, Result},
    sys::{
        mapping::Mapping,
        name::{self, Name},
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
    name::find(name).and_then(map).map_err(|error| {
        let what = match error.raw_os_error() {
            Some(libc::ENOENT) => format!("no shared memory has the name `{name}`"),
            Some(libc::EINVAL) => format!("`{name}` is no name for shared memory"),
            _ => format!("the shared memory `{name}` cannot be opened"),
        };
        Error::os(what, error)
    })
}
