//! A flag to wait for.

use crate::{
    error::{Error, Result},
    sys::{bell::Bell, errno, wait},
    wire::{self, Fd, Label},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    time::{Duration, Instant},
};

/// A flag that processes wait for.
///
/// A clone is a handle to the same flag, and so is what another process gets to which one is sent. It is an
/// [eventfd](https://man7.org/linux/man-pages/man2/eventfd.2.html), readable while the flag is set: by its [`AsFd`] it can be waited
/// for together with other descriptors, which must not read from it.
///
/// A flag that is cleared right after it was set may never be seen by those who wait; it is a state and no message.
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
    /// Makes a flag that is not set.
    ///
    /// # Errors
    ///
    /// When the system has no descriptor to give.
    pub fn new() -> Result<Self> {
        let bell = Bell::create().map_err(|error| Error::os("an event cannot be made", error))?;
        Ok(Self {
            bell: Arc::new(bell),
        })
    }

    /// Sets the flag, and wakes all who wait for it.
    ///
    /// It never blocks, and may be called by a handler of a signal: it is one [`write(2)`](https://man7.org/linux/man-pages/man2/write.2.html),
    /// takes no lock and no memory, and leaves `errno` as it was. If other code has closed the descriptor, it does nothing.
    pub fn set(&self) {
        // It fails only for a descriptor that is no eventfd any more.
        let _ = errno::kept(|| self.bell.ring());
    }

    /// Clears the flag.
    ///
    /// What is said of [`set`](Self::set) holds here too.
    pub fn clear(&self) {
        // As above.
        let _ = errno::kept(|| self.bell.clear());
    }

    /// Returns whether the flag is set. If the system cannot tell, it is taken for not set: [`wait_timeout`](Self::wait_timeout) returns
    /// the error.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.bell.wait(Some(Instant::now())).unwrap_or(false)
    }

    /// Waits until the flag is set, for as long as that takes.
    ///
    /// # Errors
    ///
    /// When the system refuses to wait.
    pub fn wait(&self) -> Result<()> {
        self.wait_until(None).map(drop)
    }

    /// Waits until the flag is set, but no longer than that; returns whether it is.
    ///
    /// # Errors
    ///
    /// When the system refuses to wait.
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
