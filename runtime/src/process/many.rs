//! Functions that wait for several processes.

use super::{Child, Handle, JoinError};
use crate::{
    error::{Error, Result},
    sys::{
        fd::AsFd,
        wait::{self, For},
    },
};
use std::time::Duration;

/// Joins every child. Returns the value or the error of each child, in the order of the children.
///
/// Blocks until the last child has ended, even if others failed before.
///
/// # Examples
///
/// ```
/// use procession::{join_all, process};
///
/// #[process]
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// let children = (1..=3).map(square::spawn).collect::<Result<Vec<_>, _>>()?;
/// let squares = join_all(children).into_iter().collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(squares, [1, 4, 9]);
/// # Ok::<(), procession::Error>(())
/// ```
pub fn join_all<T>(children: impl IntoIterator<Item = Child<T>>) -> Vec<Result<T, JoinError>> {
    children.into_iter().map(Child::join).collect()
}

/// Waits until one of the processes has ended and returns its index in the order in which they were
/// given.
///
/// Blocks for `timeout` at most, or without a limit if it is `None`. Returns `None` if all
/// processes still run after the timeout, or if there are no processes.
///
/// It accepts children and handles, and the same process several times. If several processes have
/// ended already, it returns the first of them.
///
/// To run many processes, but only a few at once, wait for one before the next is started:
///
/// ```
/// use procession::{Child, process, wait_any};
///
/// #[process]
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// let (at_once, mut running, mut squares) = (4, Vec::<Child<u64>>::new(), Vec::new());
/// for n in 1..=20 {
///     if running.len() == at_once && let Some(index) = wait_any(&running, None)? {
///         squares.push(running.swap_remove(index).join()?);
///     }
///     running.push(square::spawn(n)?);
/// }
/// for child in running {
///     squares.push(child.join()?);
/// }
/// assert_eq!(squares.iter().sum::<u64>(), 2870);
/// # Ok::<(), procession::Error>(())
/// ```
///
/// # Errors
///
/// Fails if the system refuses to wait for that many processes.
///
/// # Examples
///
/// ```
/// use procession::{process, wait_any};
/// use std::time::Duration;
///
/// #[process]
/// fn nap(time: Duration) {
///     std::thread::sleep(time);
/// }
///
/// let children = [nap::spawn(Duration::from_secs(60))?, nap::spawn(Duration::ZERO)?];
/// assert_eq!(wait_any(&children, None)?, Some(1));
/// children[0].kill()?;
/// # Ok::<(), procession::Error>(())
/// ```
#[doc(alias = "wait")]
pub fn wait_any<H: AsRef<Handle>>(
    processes: impl IntoIterator<Item = H>,
    timeout: impl Into<Option<Duration>>,
) -> Result<Option<usize>> {
    let deadline = timeout.into().map(wait::deadline);
    let handles: Vec<Handle> = processes
        .into_iter()
        .map(|process| process.as_ref().clone())
        .collect();
    if handles.is_empty() {
        return Ok(None);
    }
    let fds: Vec<_> = handles
        .iter()
        .map(|handle| (handle.as_fd(), For::Reading))
        .collect();
    let ready = wait::until_ready(&fds, deadline.flatten()).map_err(|source| {
        Error::os(
            format!("{} processes cannot be waited for", fds.len()),
            source,
        )
    })?;
    Ok(ready.iter().position(|ready| *ready))
}
