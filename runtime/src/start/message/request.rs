//! What the helper is asked: to make a child.

/// A request: the number on the board that the id of the child goes to, and how long the child is to wait. The child's socket is
/// beside it.
pub(in crate::start) type Request = [u8; 2 * size_of::<u32>()];

/// How long a child waits to be told what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::start) enum Wait {
    /// As long as its owner lives.
    Ever,
    /// A while: it is a spare.
    Idle,
}

/// The errno by which it answers where it has more than one thread, which a library has started: a
/// copy might never get a lock that another thread held.
pub(in crate::start) const MORE_THREADS: i32 = libc::EDEADLK;

/// Makes a request.
pub(in crate::start) fn request(number: u32, wait: Wait) -> Request {
    let mut request = Request::default();
    let (first, second) = request.split_at_mut(size_of::<u32>());
    first.copy_from_slice(&number.to_le_bytes());
    second.copy_from_slice(&u32::from(wait == Wait::Idle).to_le_bytes());
    request
}
