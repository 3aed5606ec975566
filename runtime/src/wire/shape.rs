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
    /// Returns the codec of an array of any length.
    #[must_use]
    pub fn codec<Via>(self) -> Value<[T; N]>
    where
        T: Transfer<Via>,
    {
        Value {
            send: send_array,
            receive: receive_array,
        }
    }
}

impl<'a, T, const N: usize> Shape<&'a [T; N]> {
    /// Returns the codec of a reference to an array of any length.
    #[must_use]
    pub fn codec<Via>(self) -> Lent<'a, [T; N], Box<[T; N]>>
    where
        T: Transfer<Via>,
    {
        Lent {
            send: send_array,
            receive: |from| receive_array(from).map(Box::new),
            lend: |held| held,
            reference: PhantomData,
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
    fn codec<Via>(self) -> Self::Codec<<Self::Target as Lend<Via>>::Held>
    where
        Self::Target: Lend<Via>;
}

impl<'a, T: ?Sized> ByRef for Shape<&'a T> {
    type Target = T;
    type Codec<Held> = Lent<'a, T, Held>;

    fn codec<Via>(self) -> Lent<'a, T, T::Held>
    where
        T: Lend<Via>,
    {
        Lent {
            send: T::__send,
            receive: T::__receive,
            lend: T::__lend,
            reference: PhantomData,
        }
    }
}

/// Everything else.
pub trait ByValue {
    /// The type itself.
    type Value;
    /// Returns the codec of such a value.
    fn codec<Via>(&self) -> Value<Self::Value>
    where
        Self::Value: Transfer<Via>;
}

impl<T> ByValue for Shape<T> {
    type Value = T;

    fn codec<Via>(&self) -> Value<T>
    where
        T: Transfer<Via>,
    {
        Value {
            send: T::__send,
            receive: T::__receive,
        }
    }
}

fn send_array<'a, T: Transfer<Via>, Via, const N: usize>(
    array: &'a [T; N],
    what: &str,
    to: &mut Outgoing<'a>,
) -> Result<()> {
    if to.put_numbers(what, array)? {
        return Ok(());
    }
    array
        .iter()
        .try_for_each(|element| element.__send(what, to))
}

fn receive_array<T: Transfer<Via>, Via, const N: usize>(from: &mut Incoming) -> Result<[T; N]> {
    let elements = match from.take_numbers::<T>() {
        Some(numbers) => numbers,
        None => (0..N).map(|_| T::__receive(from)).collect(),
    };
    elements?
        .try_into()
        .map_err(|_| Error::new(ErrorKind::Decode, "an array of another length arrived"))
}

type Send<T> = for<'a> fn(&'a T, &str, &mut Outgoing<'a>) -> Result<()>;
type Receive<T> = fn(&mut Incoming) -> Result<T>;

/// The codec of a value. It is bound by nothing, so that it adds nothing to the error about a type that has none.
#[derive(Debug)]
pub struct Value<T> {
    send: Send<T>,
    receive: Receive<T>,
}

impl<T> Value<T> {
    /// Writes a value; `what` names it in the error.
    pub fn send<'s>(self, value: &'s T, what: &str, to: &mut Outgoing<'s>) -> Result<()> {
        (self.send)(value, what, to)
    }

    /// Reads a value.
    pub fn own(self, from: &mut Incoming) -> Result<T> {
        (self.receive)(from)
    }

    /// Reads a value that is to be handed on later.
    pub fn take(self, from: &mut Incoming) -> Result<Held<T>> {
        (self.receive)(from).map(|value| Held(Some(value)))
    }

    /// Hands a value on.
    #[expect(clippy::unused_self, reason = "every codec is asked in the same way")]
    pub fn lend(self, held: &mut Held<T>) -> T {
        held.0
            .take()
            .expect("generated code lends each argument once")
    }
}

/// The codec of a reference. It is bound by nothing, as [`Value`] is.
#[derive(Debug)]
pub struct Lent<'a, T: ?Sized, Held> {
    send: Send<T>,
    receive: Receive<Held>,
    lend: fn(&Held) -> &T,
    reference: PhantomData<&'a T>,
}

impl<'a, T: ?Sized, Held> Lent<'a, T, Held> {
    /// Writes what a reference points to; `what` names it in the error.
    pub fn send<'s>(self, value: &'s &'a T, what: &str, to: &mut Outgoing<'s>) -> Result<()> {
        (self.send)(value, what, to)
    }

    /// Reads what a reference can point to for ever: it is leaked, as a `&'static` parameter asks.
    pub fn own(self, from: &mut Incoming) -> Result<&'a T>
    where
        Held: 'a,
    {
        (self.receive)(from).map(|held| (self.lend)(Box::leak(Box::new(held))))
    }

    /// Reads what a reference can point to while it is held.
    pub fn take(self, from: &mut Incoming) -> Result<Held> {
        (self.receive)(from)
    }

    /// Returns a reference to what is held.
    pub fn lend(self, held: &mut Held) -> &T {
        (self.lend)(held)
    }
}

/// A value that is held until the function takes it over.
#[derive(Debug)]
pub struct Held<T>(Option<T>);

/// Mentions `U` in a type without changing it, so that a generic parameter that no field uses does not have to appear in the
/// struct literal.
pub trait Mention<U: ?Sized> {
    /// The type itself.
    type Type: ?Sized;
}

impl<T: ?Sized, U: ?Sized> Mention<U> for T {
    type Type = T;
}
