//! Waiting for many handles at once.

use crate::{
    error::{Error, Result},
    sys::{
        fd::AsFd,
        wait::{self, For},
    },
};
use std::time::Duration;

/// Waits until at least one of the handles is ready, and returns the indices of all handles that
/// are ready.
///
/// Blocks without limit if there is no timeout. If the timeout passes first, returns an empty list.
/// If the list of handles is empty and there is no timeout, returns at once, because nothing can
/// become ready.
///
/// A handle stays ready until the program acts on it: the next call returns it again. A handle is
/// ready in these cases:
///
/// - A [`Connection`](super::Connection): a part of a message has arrived, or the other end is
///   closed. Receiving may still block until the rest arrives, if the sender is slow or the message
///   large. To avoid this, use [`poll`](super::Connection::poll) or
///   [`try_recv`](super::Connection::try_recv).
/// - A [`Receiver`](super::Receiver): its queue has a message or has no sender left. It can be
///   ready although the queue is empty, because another receiver was faster. Receive with
///   [`try_recv`](super::Receiver::try_recv) then.
/// - An [`Event`](crate::sync::Event): it is set.
/// - [`Tasks`](super::Tasks): all of them are done.
/// - A [`Child`](crate::Child) or [`Handle`](crate::Handle): the process has ended.
/// - A socket, a pipe or any other descriptor: it has something to read, is at its end, or has an
///   error. A listening socket has a connection to accept. See
///   [poll(2)](https://man7.org/linux/man-pages/man2/poll.2.html).
///
/// # Errors
///
/// Fails with [`ErrorKind::OutOfMemory`](crate::ErrorKind::OutOfMemory) if the system has no memory
/// left.
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
