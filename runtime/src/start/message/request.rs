//! The request to the helper: to fork a child.

use crate::sys::errno;

/// A request: the index of the number on the board where the id of the child goes, and how long the
/// child waits. Each has four bytes. The socket of the child is sent with it.
pub(in crate::start) type Request = [u8; 2 * size_of::<u32>()];

/// How long a child waits for its birth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::start) enum Wait {
    /// As long as its owner lives.
    Ever,
    /// A limited time: the child is a spare.
    Idle,
}

/// The errno that the helper answers with if it has more than one thread, because a library has
/// started one. A copy of such a process might wait for ever for a lock that another thread held.
pub(in crate::start) const MORE_THREADS: i32 = errno::EDEADLK;

/// Encodes a request.
pub(in crate::start) fn request(number: u32, wait: Wait) -> Request {
    let mut request = Request::default();
    let (first, second) = request.split_at_mut(size_of::<u32>());
    first.copy_from_slice(&number.to_le_bytes());
    second.copy_from_slice(&u32::from(wait == Wait::Idle).to_le_bytes());
    request
}
