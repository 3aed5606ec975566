//! Waiting for many things at once.

use crate::{
    error::{Error, Result},
    sys::wait::{self, For},
};
use std::{os::fd::AsFd, time::Duration};

/// Waits until at least one of these is ready, and returns the places of all that are. Without a timeout it waits for as long as that
/// takes; after one, the list is empty.
///
/// What is ready, is so until something is done about it: a call that comes after returns it again. Ready is
///
/// - a [`Connection`](super::Connection) to which something of a message has come, or whose other side is gone. Receiving may have to
///   wait for the rest, where the sender is slow, or the message large: [`poll`](super::Connection::poll) or
///   [`try_recv`](super::Connection::try_recv) tell;
/// - a [`Receiver`](super::Receiver) of a queue in which there is a message, or whose senders are gone. (Or in which there was one: receive
///   by [`try_recv`](super::Receiver::try_recv) then, since others may be faster.)
/// - an [`Event`](crate::sync::Event) that is set, and [`Tasks`](super::Tasks) that are done;
/// - a [`Child`](crate::Child) or [`Handle`](crate::Handle) whose process has ended;
/// - a socket, a pipe or anything else with a descriptor that has something to read, is at its end, or has an error; for a socket that
///   listens, something to accept. ([poll(2)](https://man7.org/linux/man-pages/man2/poll.2.html) has the details.)
///
/// Nothing can happen to an empty list: without a timeout it returns at once.
///
/// # Errors
///
/// When they are more than this process may have descriptors (`RLIMIT_NOFILE`), or the system has no memory.
///
/// # Examples
///
/// ```
/// use procession::{
///     channel::{one_way, wait},
///     process,
/// };
///
/// #[process]
/// fn quick() {}
///
/// let (sender, receiver) = one_way::<u8>()?;
/// let child = quick::spawn()?;
/// assert_eq!(wait(&[&receiver, &child], None)?, [1]);
/// sender.send(7)?;
/// assert_eq!(wait(&[&receiver, &child], None)?, [0, 1]);
/// # child.join()?;
/// # Ok::<(), procession::Error>(())
/// ```
#[doc(alias = "select")]
pub fn wait(handles: &[&dyn AsFd], timeout: impl Into<Option<Duration>>) -> Result<Vec<usize>> {
    let timeout = timeout.into();
    if handles.is_empty() && timeout.is_none() {
        return Ok(Vec::new());
    }
    let fds: Vec<_> = handles
        .iter()
        .map(|handle| (handle.as_fd(), For::Reading))
        .collect();
    let ready = wait::until_ready(&fds, timeout.and_then(wait::deadline))
        .map_err(|source| Error::os("they cannot be waited for", source))?;
    let places = ready.into_iter().enumerate();
    Ok(places
        .filter_map(|(place, is_ready)| is_ready.then_some(place))
        .collect())
}
