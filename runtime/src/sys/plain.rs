//! What may lie in memory that other processes write to.

use std::sync::atomic::{
    AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicU8, AtomicU16, AtomicU32,
    AtomicU64, AtomicUsize,
};
use zerocopy::{FromBytes, IntoBytes};

/// Plain old data: what can lie in shared memory.
///
/// Every pattern of bits is a value of it, none of its bytes is padding, and nothing in it points to memory of one process. That
/// is what [`zerocopy::FromBytes`] and [`zerocopy::IntoBytes`] say; this trait is all types that have both, and need not be
/// implemented. Numbers, arrays of plain data and std's atomics are plain; a struct becomes so by zerocopy's derives, which check it:
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
/// `bool`, `char`, references and `Option` are not plain: there are patterns of bits that are no value of them, and the memory holds
/// what another process wrote there.
///
/// The traits are zerocopy's and not bytemuck's, whose `Pod` asks for `Copy`: atomics, which are what shared memory is most used for,
/// cannot have it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot lie in shared memory",
    label = "is not plain old data",
    note = "derive `zerocopy::FromBytes` and `zerocopy::IntoBytes` for a `#[repr(C)]` struct of numbers, arrays and atomics"
)]
pub trait Plain: FromBytes + IntoBytes + Send + 'static {}

impl<T: FromBytes + IntoBytes + Send + 'static> Plain for T {}

/// Atomics and nothing else: what several processes may refer to at the same time.
///
/// std's atomic numbers have it, and arrays of them.
///
/// # Safety
///
/// Every byte of the type belongs to an atomic, so that whatever other processes write meanwhile is no data race. A `#[repr(C)]`
/// struct, all of whose fields are `Atomic`, may implement it:
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

// SAFETY: it is as many as there are, and nothing lies between them.
unsafe impl<T: Atomic, const N: usize> Atomic for [T; N] {}
