//! From a type as the user wrote it to the codec that carries it.
//!
//! A macro sees tokens, not types: `Name<'_>` may be an alias of `&str`, and `Key` one of `[u8; 64]`. So generated code asks
//! `Shape::<Type>::NEW.codec()`, and method resolution finds the most particular answer: arrays by inherent methods, other
//! references by [`ByRef`] (taken by value), all else by [`ByValue`] (by reference, hence last). The bound is on this method
//! alone, so a type that cannot travel is one error, under that call, in the words of [`Transfer`].
//!
//! Every codec has the same four methods. `send` writes a value. `own` reads one. `take` reads what the child has to hold, and
//! `lend` makes of it, for as long as it is held, what the function asked for: two steps, because a reference must point to
//! something that lives in the caller.

use super::{
    message::{Incoming, Outgoing},
    transfer::{Lend, Transfer},
};
use crate::error::{Error, ErrorKind, Result};
use std::marker::PhantomData;

/// A type to be asked for its codec.
#[derive(Debug)]
pub struct Shape<T>(PhantomData<fn() -> T>);

impl<T> Shape<T> {
    /// The question for the type `T`.
    pub const NEW: Self = Self(PhantomData);
}

impl<T, const N: usize> Shape<[T; N]> {
    /// Arrays of any length.
    #[must_use]
    pub fn codec<Via>(self) -> Array<T, Via, N>
    where
        T: Transfer<Via>,
    {
        Array(PhantomData)
    }
}

impl<'a, T, const N: usize> Shape<&'a [T; N]> {
    /// References to arrays of any length.
    #[must_use]
    pub fn codec<Via>(self) -> LentArray<'a, T, Via, N>
    where
        T: Transfer<Via>,
    {
        LentArray(PhantomData)
    }
}

/// Other references.
pub trait ByRef: Sized {
    /// What the reference points to.
    type Target: ?Sized;
    /// The codec, but for the road.
    type Codec<Via>;
    /// Returns the codec of such a reference.
    fn codec<Via>(self) -> Self::Codec<Via>
    where
        Self::Target: Lend<Via>;
}

impl<'a, T: ?Sized> ByRef for Shape<&'a T> {
    type Target = T;
    type Codec<Via> = Lent<'a, T, Via>;

    fn codec<Via>(self) -> Lent<'a, T, Via>
    where
        T: Lend<Via>,
    {
        Lent(PhantomData)
    }
}

/// Everything else.
pub trait ByValue {
    /// The type itself.
    type Value;
    /// Returns the codec of such a value.
    fn codec<Via>(&self) -> Value<Self::Value, Via>
    where
        Self::Value: Transfer<Via>;
}

impl<T> ByValue for Shape<T> {
    type Value = T;

    fn codec<Via>(&self) -> Value<T, Via>
    where
        T: Transfer<Via>,
    {
        Value(PhantomData)
    }
}

/// The codec of a value.
#[derive(Debug)]
pub struct Value<T, Via>(PhantomData<fn() -> (T, Via)>);

impl<T: Transfer<Via>, Via> Value<T, Via> {
    pub fn send(self, value: &T, what: &str, to: &mut Outgoing) -> Result<()> {
        value.__send(what, to)
    }

    pub fn own(self, from: &mut Incoming) -> Result<T> {
        T::__receive(from)
    }

    pub fn take(self, from: &mut Incoming) -> Result<Held<T>> {
        T::__receive(from).map(Held::new)
    }

    pub fn lend(self, held: &mut Held<T>) -> T {
        held.once()
    }
}

/// The codec of an array, element by element.
#[derive(Debug)]
pub struct Array<T, Via, const N: usize>(PhantomData<fn() -> (T, Via)>);

impl<T: Transfer<Via>, Via, const N: usize> Array<T, Via, N> {
    pub fn send(self, value: &[T; N], what: &str, to: &mut Outgoing) -> Result<()> {
        value
            .iter()
            .try_for_each(|element| element.__send(what, to))
    }

    pub fn own(self, from: &mut Incoming) -> Result<[T; N]> {
        let elements = (0..N)
            .map(|_| T::__receive(from))
            .collect::<Result<Vec<T>>>()?;
        elements
            .try_into()
            .map_err(|_| Error::new(ErrorKind::Decode, "an array of another length arrived"))
    }

    pub fn take(self, from: &mut Incoming) -> Result<Held<[T; N]>> {
        self.own(from).map(Held::new)
    }

    pub fn lend(self, held: &mut Held<[T; N]>) -> [T; N] {
        held.once()
    }
}

/// The codec of a reference.
#[derive(Debug)]
pub struct Lent<'a, T: ?Sized, Via>(PhantomData<fn() -> (&'a T, Via)>);

impl<'a, T: Lend<Via> + ?Sized, Via> Lent<'a, T, Via> {
    pub fn send(self, value: &&'a T, what: &str, to: &mut Outgoing) -> Result<()> {
        T::__send(value, what, to)
    }

    /// Leaks what is lent: a `&'static` parameter asks for it.
    pub fn own(self, from: &mut Incoming) -> Result<&'a T>
    where
        T::Held: 'a,
    {
        T::__receive(from).map(|held| T::__lend(Box::leak(Box::new(held))))
    }

    pub fn take(self, from: &mut Incoming) -> Result<T::Held> {
        T::__receive(from)
    }

    pub fn lend<'h>(self, held: &'h mut T::Held) -> &'h T
    where
        T: 'h,
    {
        T::__lend(held)
    }
}

/// The codec of a reference to an array.
#[derive(Debug)]
pub struct LentArray<'a, T, Via, const N: usize>(PhantomData<fn() -> (&'a T, Via)>);

impl<'a, T: Transfer<Via>, Via, const N: usize> LentArray<'a, T, Via, N> {
    pub fn send(self, value: &&'a [T; N], what: &str, to: &mut Outgoing) -> Result<()> {
        Array::<T, Via, N>(PhantomData).send(value, what, to)
    }

    /// Leaks what is lent: a `&'static` parameter asks for it.
    pub fn own(self, from: &mut Incoming) -> Result<&'a [T; N]> {
        self.take(from).map(|held| &*Box::leak(held))
    }

    pub fn take(self, from: &mut Incoming) -> Result<Box<[T; N]>> {
        Array::<T, Via, N>(PhantomData).own(from).map(Box::new)
    }

    pub fn lend<'h>(self, held: &'h mut Box<[T; N]>) -> &'h [T; N] {
        held
    }
}

/// A value that is held until the function takes it over.
#[derive(Debug)]
pub struct Held<T>(Option<T>);

impl<T> Held<T> {
    fn new(value: T) -> Self {
        Self(Some(value))
    }

    fn once(&mut self) -> T {
        self.0
            .take()
            .expect("generated code lends each argument once")
    }
}

/// Mentions `U` in a type without changing it, so that a generic parameter that no field uses does not have to appear in the
/// struct literal.
pub trait Mention<U: ?Sized> {
    /// The type itself.
    type Type: ?Sized;
}

impl<T: ?Sized, U: ?Sized> Mention<U> for T {
    type Type = T;
}
