//! A flag that processes wait for.

use crate::{
    error::{Error, Result},
    sys::{
        bell::Bell,
        errno,
        fd::{AsFd, BorrowedFd, OwnedFd},
        wait,
    },
    wire::{self, Fd, Label},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// A flag that processes wait for.
///
/// A clone is a handle to the same flag, and so is a handle that another process receives.
///
/// The flag is an [eventfd](https://man7.org/linux/man-pages/man2/eventfd.2.html), which is
/// readable while the flag is set. Use its [`AsFd`] to wait for it together with other descriptors.
/// Do not read from the descriptor.
///
/// If a flag is cleared right after it was set, waiters may never see it. The flag is a state, not
/// a message.
///
/// # Examples
///
/// ```
/// use procession::{process, sync::Event};
///
/// #[process]
/// fn work(go: &Event, ready: &Event) {
///     ready.set();
///     go.wait().unwrap();
/// }
///
/// let (go, ready) = (Event::new()?, Event::new()?);
/// let worker = work::spawn(&go, &ready)?;
/// ready.wait()?;
/// go.set();
/// worker.join()?;
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Event {
    bell: Arc<Bell>,
}

impl Event {
    /// Returns a new flag that is not set.
    ///
    /// # Errors
    ///
    /// Fails if the system has no descriptor left.
    pub fn new() -> Result<Self> {
        let bell = Bell::create().map_err(|error| Error::os("an event cannot be made", error))?;
        Ok(Self {
            bell: Arc::new(bell),
        })
    }

    /// Sets the flag and wakes all waiters.
    ///
    /// It never blocks, and a signal handler may call it: it makes one
    /// [`write(2)`](https://man7.org/linux/man-pages/man2/write.2.html), takes no lock, allocates
    /// no memory, and keeps `errno`. If other code has closed the descriptor, it does nothing.
    pub fn set(&self) {
        // It fails only if the descriptor is not an eventfd any more.
        let _ = errno::kept(|| self.bell.ring());
    }

    /// Clears the flag.
    ///
    /// It never blocks, and a signal handler may call it, as [`set`](Self::set).
    pub fn clear(&self) {
        // As above.
        let _ = errno::kept(|| self.bell.clear());
    }

    /// Returns whether the flag is set. Returns `false` if the system cannot tell:
    /// [`wait_timeout`](Self::wait_timeout) returns the error.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.bell.wait(Some(Instant::now())).unwrap_or(false)
    }

    /// Waits until the flag is set. Blocks without a time limit.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses to wait.
    pub fn wait(&self) -> Result<()> {
        self.wait_until(None).map(drop)
    }

    /// Waits until the flag is set, at most for `timeout`. Returns whether it is set.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses to wait.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<bool> {
        self.wait_until(wait::deadline(timeout))
    }

    fn wait_until(&self, deadline: Option<Instant>) -> Result<bool> {
        let set = self.bell.wait(deadline);
        set.map_err(|error| Error::os("an event cannot be waited for", error))
    }
}

impl AsFd for Event {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

crate::sys::raw::as_raw_fd!([] Event);

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (Label::of::<()>("Event"), Fd(self.bell.as_fd())).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (label, Fd(fd)) = <(Label<'_>, Fd<OwnedFd>)>::deserialize(deserializer)?;
        label.check::<(), _>("Event")?;
        let bell = Bell::open(fd).map_err(wire::unopened)?;
        Ok(Self {
            bell: Arc::new(bell),
        })
    }
}
