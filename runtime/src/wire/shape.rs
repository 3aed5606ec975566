//! Finds the codec for a type as the user wrote it.
//!
//! A macro sees tokens, not types: `Name<'_>` may be an alias of `&str`, and `Key` an alias of
//! `[u8; 64]`. So generated code calls `Shape::<Type>::NEW.__codec()`, and method resolution finds
//! the most specific method, in this order:
//!
//! 1. inherent methods: arrays of types that serde carries, references to such arrays, and
//!    references to owners of a descriptor;
//! 2. methods that take the shape by value: owners of a descriptor, arrays of them and arrays of
//!    arrays ([`ByParts`]);
//! 3. methods that take the shape by reference: arrays of numbers at any depth, and references to
//!    them ([`ByNumbers`](super::numbers::ByNumbers));
//! 4. methods of what the shape dereferences to ([`Rest`]), by value: other references ([`ByRef`]);
//! 5. methods that take that by reference, which come last: all other types ([`ByValue`]).
//!
//! The bounds of [`ByRef`] and [`ByValue`] are on the method only. So a type that cannot be sent
//! causes one error, at that call, with the text of [`Transfer`].
//!
//! The type of an output may also be a `Result`: see [`halves`](super::halves).
//!
//! The method has a name that no trait of a user's has: a blanket impl would make it ambiguous.
//!
//! Every codec has the same four methods. `send` writes a value, and `own` reads one. `take` reads
//! a value that the child holds, and `lend` makes of it what the function asked for, for as long as
//! it is held. These are two steps, because a reference must point to something that lives in the
//! caller.

use super::{
    fd::Fd,
    message::{Incoming, Outgoing},
    transfer::{Descriptor, Lend, Transfer},
};
use crate::error::{Error, ErrorKind, Result};
use std::{marker::PhantomData, ops::Deref};

/// Stands for a type whose codec is needed. `Place` is where the type stands: alone, or in a half
/// of a `Result`.
#[derive(Debug)]
pub struct Shape<T, Place = Whole>(PhantomData<fn() -> (T, Place)>);

/// The place of a type that is no half of a `Result`.
#[derive(Debug)]
pub enum Whole {}

impl<T> Shape<T> {
    /// The shape of the type `T`.
    pub const NEW: Self = Self::AT;
}

impl<T, Place> Shape<T, Place> {
    /// The shape of the type `T` at this place.
    pub(super) const AT: Self = Self(PhantomData);
}

impl<T, Place> Clone for Shape<T, Place> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, Place> Copy for Shape<T, Place> {}

/// Stands for a type of which a [`Shape`] finds no codec.
#[derive(Debug)]
pub struct Rest<T, Place>(PhantomData<fn() -> (T, Place)>);

impl<T, Place> Clone for Rest<T, Place> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, Place> Copy for Rest<T, Place> {}

impl<T, Place> Deref for Shape<T, Place> {
    type Target = Rest<T, Place>;

    fn deref(&self) -> &Rest<T, Place> {
        &Rest(PhantomData)
    }
}

impl<T: Transfer, const N: usize, Place> Shape<[T; N], Place> {
    /// Returns the codec of an array of any length.
    #[must_use]
    pub fn __codec(self) -> ValueCodec<[T; N]> {
        ValueCodec {
            send: send_array,
            receive: receive_array,
        }
    }
}

impl<'a, T: Transfer, const N: usize> Shape<&'a [T; N]> {
    /// Returns the codec of a reference to an array of any length.
    #[must_use]
    pub fn __codec(self) -> RefCodec<'a, [T; N], Box<[T; N]>> {
        RefCodec::new(
            send_array,
            |from| receive_array(from).map(Box::new),
            |held| held,
        )
    }
}

impl<'a, T: Descriptor> Shape<&'a T> {
    /// Returns the codec of a reference to an owner of a descriptor.
    #[must_use]
    pub fn __codec(self) -> RefCodec<'a, T, T> {
        RefCodec::new(send_descriptor, receive_descriptor, |held| held)
    }
}

/// Types that serde does not carry, but their parts: owners of a descriptor, arrays of them, and
/// arrays of arrays. (Serde carries arrays of up to 32 elements.)
pub trait ByParts: Sized {
    /// The type itself.
    type Value;
    /// Returns the codec of such a value.
    fn __codec(self) -> ValueCodec<Self::Value>;
}

impl<T: Descriptor, Place> ByParts for Shape<T, Place> {
    type Value = T;

    fn __codec(self) -> ValueCodec<T> {
        ValueCodec {
            send: send_descriptor,
            receive: receive_descriptor,
        }
    }
}

impl<T: Descriptor, const N: usize, Place> ByParts for Shape<[T; N], Place> {
    type Value = [T; N];

    fn __codec(self) -> ValueCodec<[T; N]> {
        ValueCodec {
            send: send_descriptors,
            receive: receive_descriptors,
        }
    }
}

impl<T: Transfer, const N: usize, const M: usize, Place> ByParts for Shape<[[T; N]; M], Place> {
    type Value = [[T; N]; M];

    fn __codec(self) -> ValueCodec<[[T; N]; M]> {
        ValueCodec {
            send: |rows, what, to| send_elements(rows.as_flattened(), what, to),
            receive: receive_rows,
        }
    }
}

/// Other references.
pub trait ByRef: Sized {
    /// What the reference points to.
    type Target: ?Sized;
    /// The codec of such a reference.
    type Codec<Held>;
    /// Returns the codec of such a reference.
    fn __codec(self) -> Self::Codec<<Self::Target as Lend>::Held>
    where
        Self::Target: Lend;
}

impl<'a, T: ?Sized> ByRef for Rest<&'a T, Whole> {
    type Target = T;
    type Codec<Held> = RefCodec<'a, T, Held>;

    fn __codec(self) -> RefCodec<'a, T, T::Held>
    where
        T: Lend,
    {
        RefCodec::new(T::__send, T::__receive, T::__lend)
    }
}

/// All other types.
pub trait ByValue {
    /// The type itself.
    type Value;
    /// Returns the codec of such a value.
    fn __codec(&self) -> ValueCodec<Self::Value>
    where
        Self::Value: Transfer;
}

impl<T> ByValue for Rest<T, Whole> {
    type Value = T;

    fn __codec(&self) -> ValueCodec<T>
    where
        T: Transfer,
    {
        ValueCodec::by_serde()
    }
}

fn send_array<'a, T: Transfer, const N: usize>(
    array: &'a [T; N],
    what: &str,
    to: &mut Outgoing<'a>,
) -> Result<()> {
    send_elements(array, what, to)
}

pub(super) fn send_elements<'a, T: Transfer>(
    elements: &'a [T],
    what: &str,
    to: &mut Outgoing<'a>,
) -> Result<()> {
    if to.put_numbers(what, elements)? {
        return Ok(());
    }
    elements
        .iter()
        .try_for_each(|element| to.put(what, element))
}

fn receive_array<T: Transfer, const N: usize>(from: &mut Incoming) -> Result<[T; N]> {
    array_of(receive_elements(from, N)?)
}

pub(super) fn receive_elements<T: Transfer>(from: &mut Incoming, count: usize) -> Result<Vec<T>> {
    match from.take_numbers::<T>() {
        Some(numbers) if numbers.as_ref().is_ok_and(|numbers| numbers.len() != count) => Err(
            Error::new(ErrorKind::Decode, "an array of another length arrived"),
        ),
        Some(numbers) => numbers,
        None => elements(|| from.take(), count),
    }
}

fn receive_rows<T: Transfer, const N: usize, const M: usize>(
    from: &mut Incoming,
) -> Result<[[T; N]; M]> {
    let mut flat = receive_elements(from, N * M)?.into_iter();
    array_of(elements(|| array_of(flat.by_ref().take(N).collect()), M)?)
}

fn send_descriptor<T: Descriptor>(value: &T, what: &str, to: &mut Outgoing<'_>) -> Result<()> {
    to.put_now(what, &Fd(value.as_fd()))
}

fn receive_descriptor<T: Descriptor>(from: &mut Incoming) -> Result<T> {
    from.take::<Fd<T>>().map(Fd::into_inner)
}

fn send_descriptors<T: Descriptor, const N: usize>(
    array: &[T; N],
    what: &str,
    to: &mut Outgoing<'_>,
) -> Result<()> {
    array
        .iter()
        .try_for_each(|value| send_descriptor(value, what, to))
}

fn receive_descriptors<T: Descriptor, const N: usize>(from: &mut Incoming) -> Result<[T; N]> {
    array_of(elements(|| receive_descriptor(from), N)?)
}

pub(super) fn elements<T>(receive: impl FnMut() -> Result<T>, count: usize) -> Result<Vec<T>> {
    std::iter::repeat_with(receive).take(count).collect()
}

pub(super) fn array_of<T, const N: usize>(elements: Vec<T>) -> Result<[T; N]> {
    elements
        .try_into()
        .map_err(|_| Error::new(ErrorKind::Decode, "an array of another length arrived"))
}

pub(super) type Send<T> = for<'a> fn(&'a T, &str, &mut Outgoing<'a>) -> Result<()>;
pub(super) type Receive<T> = fn(&mut Incoming) -> Result<T>;

/// The codec of a value. It has no bounds, so that a type without a codec causes no further error
/// here.
#[derive(Debug)]
pub struct ValueCodec<T> {
    pub(super) send: Send<T>,
    pub(super) receive: Receive<T>,
}

impl<T> ValueCodec<T> {
    /// Returns the codec of a type that serde carries.
    pub(super) fn by_serde() -> Self
    where
        T: Transfer,
    {
        Self {
            send: |value, what, to| to.put(what, value),
            receive: Incoming::take,
        }
    }

    /// Writes a value; `what` names it in the error.
    pub fn send<'s>(self, value: &'s T, what: &str, to: &mut Outgoing<'s>) -> Result<()> {
        (self.send)(value, what, to)
    }

    /// Reads a value.
    pub fn own(self, from: &mut Incoming) -> Result<T> {
        (self.receive)(from)
    }

    /// Reads a value that the child holds until [`lend`](Self::lend).
    pub fn take(self, from: &mut Incoming) -> Result<Held<T>> {
        (self.receive)(from).map(|value| Held(Some(value)))
    }

    /// Returns the value.
    #[expect(clippy::unused_self, reason = "every codec is asked in the same way")]
    pub fn lend(self, held: &mut Held<T>) -> T {
        held.0
            .take()
            .expect("generated code lends each argument once")
    }
}

/// The codec of a reference. It has no bounds, as [`ValueCodec`] has none.
#[derive(Debug)]
pub struct RefCodec<'a, T: ?Sized, Held> {
    send: Send<T>,
    receive: Receive<Held>,
    lend: fn(&Held) -> &T,
    reference: PhantomData<&'a T>,
}

impl<'a, T: ?Sized, Held> RefCodec<'a, T, Held> {
    pub(super) fn new(send: Send<T>, receive: Receive<Held>, lend: fn(&Held) -> &T) -> Self {
        Self {
            send,
            receive,
            lend,
            reference: PhantomData,
        }
    }

    /// Writes the value behind a reference; `what` names it in the error.
    pub fn send<'s>(self, value: &'s &'a T, what: &str, to: &mut Outgoing<'s>) -> Result<()> {
        (self.send)(value, what, to)
    }

    /// Reads a value and leaks it, so that the reference lives for ever, as a `&'static` parameter
    /// needs.
    pub fn own(self, from: &mut Incoming) -> Result<&'a T>
    where
        Held: 'a,
    {
        (self.receive)(from).map(|held| (self.lend)(Box::leak(Box::new(held))))
    }

    /// Reads a value that a reference can point to while the child holds it.
    pub fn take(self, from: &mut Incoming) -> Result<Held> {
        (self.receive)(from)
    }

    /// Returns a reference to the held value.
    pub fn lend(self, held: &mut Held) -> &T {
        (self.lend)(held)
    }
}

/// A value that the child holds until its function takes it.
#[derive(Debug)]
pub struct Held<T>(Option<T>);

/// Names `U` in a type without changing the type, so that the struct literal need not give a
/// generic parameter that no field uses.
pub trait Mention<U: ?Sized> {
    /// The type itself.
    type Type: ?Sized;
}

impl<T: ?Sized, U: ?Sized> Mention<U> for T {
    type Type = T;
}
