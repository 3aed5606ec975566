//! Types whose values may lie in memory that other processes write to.
//!
//! Numbers, atomics and arrays of them are known here. The feature `zerocopy` adds every type that
//! has the traits of that crate, which has derives that check a struct.

use std::sync::atomic::{
    AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicU8, AtomicU16, AtomicU32,
    AtomicU64, AtomicUsize,
};

macro_rules! each_atomic {
    ($macro:ident) => {
        $macro!(
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
    };
}

/// Plain old data: the types whose values can lie in shared memory.
///
/// Every bit pattern is a valid value of such a type. None of its bytes is padding, and it holds no
/// pointer into the memory of one process. Numbers, std's atomics and arrays of plain data are
/// plain. There is nothing to implement.
///
/// `bool`, `char`, references and `Option` are not plain: some bit patterns are no valid value of
/// them, and another process can write any bits to the memory.
///
/// # Structs
///
/// With the feature `zerocopy`, every type is plain that has `zerocopy::FromBytes` and
/// `zerocopy::IntoBytes`, and is `Send + 'static`. Their derives check a struct:
///
#[cfg_attr(feature = "zerocopy", doc = "```")]
#[cfg_attr(not(feature = "zerocopy"), doc = "```ignore")]
/// use procession::sync::Mutex;
/// use zerocopy::{FromBytes, IntoBytes};
///
/// #[derive(Clone, Copy, FromBytes, IntoBytes)]
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
/// The traits are zerocopy's rather than bytemuck's `Pod`, since `Pod` requires `Copy`. Atomics are
/// the most common content of shared memory, and cannot be `Copy`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot lie in shared memory",
    label = "is not plain old data",
    note = "plain are numbers, atomics and arrays of them: use a `u8` for a `bool`, and an array of bytes for text",
    note = "for a `#[repr(C)]` struct of these, turn on the feature `zerocopy` of `procession` and derive `zerocopy::FromBytes` and `zerocopy::IntoBytes`"
)]
pub trait Plain: bits::AnyBits + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: bits::AnyBits + Send + 'static> Plain for T {}

/// Plain data without atomics: behind a shared reference, only another process can change it.
///
/// Numbers and arrays of them are `Immutable`. With the feature `zerocopy`, so is every type that
/// has `zerocopy::Immutable`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` may change behind a shared reference",
    label = "is not known to be free of atomics",
    note = "without atomics are numbers and arrays of them",
    note = "for a struct, turn on the feature `zerocopy` of `procession` and derive `zerocopy::Immutable`"
)]
pub trait Immutable: bits::NoCells {}

#[diagnostic::do_not_recommend]
impl<T: bits::NoCells> Immutable for T {}

/// What the bytes of a type may be, as zerocopy says it.
#[cfg(feature = "zerocopy")]
mod bits {
    use zerocopy::{FromBytes, IntoBytes};

    /// Every bit pattern is a valid value of the type, and none of its bytes is padding.
    pub trait AnyBits: FromBytes + IntoBytes {}

    #[diagnostic::do_not_recommend]
    impl<T: FromBytes + IntoBytes> AnyBits for T {}

    /// The type has no interior mutability.
    pub trait NoCells: zerocopy::Immutable {}

    #[diagnostic::do_not_recommend]
    impl<T: zerocopy::Immutable> NoCells for T {}
}

/// What the bytes of a type may be, for the types that are known here.
#[cfg(not(feature = "zerocopy"))]
mod bits {
    use super::{
        AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicU8, AtomicU16, AtomicU32,
        AtomicU64, AtomicUsize,
    };

    /// # Safety
    ///
    /// Every bit pattern must be a valid value of the type, and none of its bytes may be padding.
    pub unsafe trait AnyBits {}

    /// # Safety
    ///
    /// The type must not have interior mutability.
    pub unsafe trait NoCells {}

    macro_rules! numbers {
        ($($ty:ty),*) => { $(
            // SAFETY: a number has no invalid bits and no padding.
            unsafe impl AnyBits for $ty {}
            // SAFETY: a number is no cell.
            unsafe impl NoCells for $ty {}
        )* };
    }

    macro_rules! atomics {
        ($($ty:ty),*) => { $(
            // SAFETY: an atomic has the bytes of its number.
            unsafe impl AnyBits for $ty {}
        )* };
    }

    numbers!(
        u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, f32, f64
    );
    each_atomic!(atomics);

    // SAFETY: an array consists of its elements, and nothing lies between them.
    unsafe impl<T: AnyBits, const N: usize> AnyBits for [T; N] {}

    // SAFETY: an array consists of its elements.
    unsafe impl<T: NoCells, const N: usize> NoCells for [T; N] {}
}

/// Types that consist of atomics only. Several processes may refer to such a value at the same
/// time.
///
/// std's atomic integers are `Atomic`, and so are arrays of them.
///
/// # Safety
///
/// Every byte of the type must belong to an atomic: then no write of another process is a data
/// race. A `#[repr(C)]` struct may implement the trait if all of its fields are `Atomic`. It must
/// be [`Plain`] too, for which the feature `zerocopy` is needed:
///
#[cfg_attr(feature = "zerocopy", doc = "```")]
#[cfg_attr(not(feature = "zerocopy"), doc = "```ignore")]
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
        // SAFETY: it is an atomic.
        unsafe impl Atomic for $ty {}
    )* };
}

each_atomic!(atomics);

// SAFETY: an array consists of its elements, and nothing lies between them.
unsafe impl<T: Atomic, const N: usize> Atomic for [T; N] {}
