//! Types whose values may lie in memory that other processes write to.

use std::sync::atomic::{
    AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicU8, AtomicU16, AtomicU32,
    AtomicU64, AtomicUsize,
};
use zerocopy::{FromBytes, IntoBytes};

/// Plain old data: the types whose values can lie in shared memory.
///
/// Every bit pattern is a valid value of such a type. None of its bytes is padding, and it holds no
/// pointer into the memory of one process. [`zerocopy::FromBytes`] and [`zerocopy::IntoBytes`] say
/// this. Every type that has both of them, and is `Send + 'static`, is `Plain`: there is nothing to
/// implement. Numbers, arrays of plain data and std's atomics are plain. A struct becomes plain
/// through zerocopy's derives, which check it:
///
/// ```
/// use procession::sync::Mutex;
/// use zerocopy::{FromBytes, Immutable, IntoBytes};
///
/// #[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
/// #[repr(C)]
/// struct Account {
///     id: u64,
///     balance: i64,
/// }
///
/// let account = Mutex::new(Account { id: 1, balance: 0 })?;
/// account.lock().unwrap().balance += 10;
/// assert_eq!(account.lock().unwrap().balance, 10);
/// # Ok::<(), procession::Error>(())
/// ```
///
/// `bool`, `char`, references and `Option` are not plain: some bit patterns are no valid value of
/// them, and another process can write any bits to the memory.
///
/// The traits are zerocopy's rather than bytemuck's `Pod`, since `Pod` requires `Copy`. Atomics are
/// the most common content of shared memory, and cannot be `Copy`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot lie in shared memory",
    label = "is not plain old data",
    note = "derive `zerocopy::FromBytes` and `zerocopy::IntoBytes` for a `#[repr(C)]` struct of numbers, arrays and atomics"
)]
pub trait Plain: FromBytes + IntoBytes + Send + 'static {}

impl<T: FromBytes + IntoBytes + Send + 'static> Plain for T {}

/// Types that consist of atomics only. Several processes may refer to such a value at the same
/// time.
///
/// std's atomic integers are `Atomic`, and so are arrays of them.
///
/// # Safety
///
/// Every byte of the type must belong to an atomic: then no write of another process is a data
/// race. A `#[repr(C)]` struct may implement the trait if all of its fields are `Atomic`:
///
/// ```
/// use procession::shm::{Atomic, Shared};
/// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
/// use zerocopy::{FromBytes, IntoBytes};
///
/// #[derive(Default, FromBytes, IntoBytes)]
/// #[repr(C)]
/// struct Progress {
///     done: AtomicU64,
///     failed: AtomicU64,
/// }
///
/// // SAFETY: all of its fields are atomics.
/// unsafe impl Atomic for Progress {}
///
/// let progress = Shared::new(Progress::default())?;
/// progress.done.fetch_add(1, Relaxed);
/// assert_eq!(progress.done.load(Relaxed), 1);
/// # Ok::<(), procession::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be referred to while other processes may write it",
    label = "is not made of atomics",
    note = "use `load` and `store`, which copy, or a `procession::sync::Mutex`"
)]
pub unsafe trait Atomic: Plain + Sync {}

macro_rules! atomics {
    ($($ty:ty),*) => { $(
        const _: () = assert_plain::<$ty>();
        // SAFETY: it is an atomic.
        unsafe impl Atomic for $ty {}
    )* };
}

const fn assert_plain<T: Plain>() {}

atomics!(
    AtomicI8,
    AtomicI16,
    AtomicI32,
    AtomicI64,
    AtomicIsize,
    AtomicU8,
    AtomicU16,
    AtomicU32,
    AtomicU64,
    AtomicUsize
);

// SAFETY: an array consists of its elements, and nothing lies between them.
unsafe impl<T: Atomic, const N: usize> Atomic for [T; N] {}
