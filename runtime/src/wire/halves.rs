//! Finds the codec for the output of a process, which may be a `Result`.
//!
//! The two halves of a `Result` have codecs of their own. So the `Ok` may be a file or an array, as
//! an output alone may be, and the `Err` may be an error that serde does not carry. Generated code
//! finds them as it finds the codec of a parameter (see [`shape`](super::shape)), in three steps:
//!
//! 1. `Shape::<Type>::NEW.__halves()` is a [`Halves`] for a `Result`, and an [`Output`] for all
//!    other types.
//! 2. `.__ok().__codec()` and `.__err().__err_codec()` find the codecs of both halves.
//! 3. `.__join(..)` makes one codec of the two.
//!
//! For the `Err`, method resolution finds the most specific method in this order. Its receiver is a
//! reference to the shape.
//!
//! 1. an inherent method that takes that reference: [`io::Error`]
//! 2. a method of a trait that takes it: types that serde carries ([`ByErrValue`])
//! 3. a method that takes a reference to it: types that can be made of any error ([`ByDynErr`])
//! 4. a method that takes the shape by value: all other types ([`ByErr`]), whose bound is never met
//!    and has the text of the error

#![expect(
    clippy::unused_self,
    reason = "method resolution finds the codecs, so all of them are found by methods"
)]

use super::{
    chain::{Carried, Chain},
    message::{Incoming, Outgoing},
    shape::{Rest, Shape, ValueCodec},
    transfer::Transfer,
};
use crate::error::{Error, ErrorKind, Result};
use std::{error, io, ops::Deref, result};

/// The place of the `Ok` of a `Result`.
#[derive(Debug)]
pub enum OkHalf {}

/// The place of the `Err` of a `Result`.
#[derive(Debug)]
pub enum ErrHalf {}

/// Stands for an output that is a `Result`.
#[derive(Debug)]
pub struct Halves<T, E> {
    ok: Shape<T, OkHalf>,
    err: Shape<E, ErrHalf>,
}

/// Stands for an output of another type.
#[derive(Debug)]
pub struct Output<T>(Shape<T>);

/// Stands for the `Err` of an output that has none.
#[derive(Debug)]
pub struct NoErr;

impl<T, E> Shape<result::Result<T, E>> {
    /// Returns the halves of a `Result`.
    #[must_use]
    pub fn __halves(self) -> Halves<T, E> {
        Halves {
            ok: Shape::AT,
            err: Shape::AT,
        }
    }
}

/// Types that are no `Result`.
pub trait ByWhole {
    /// The type itself.
    type Value;
    /// Returns what stands for the output.
    fn __halves(&self) -> Output<Self::Value>;
}

impl<T> ByWhole for Shape<T> {
    type Value = T;

    fn __halves(&self) -> Output<T> {
        Output(*self)
    }
}

impl<T, E> Halves<T, E> {
    /// Returns the shape of the `Ok`.
    #[must_use]
    pub fn __ok(&self) -> Shape<T, OkHalf> {
        self.ok
    }

    /// Returns the shape of the `Err`.
    #[must_use]
    pub fn __err(&self) -> &Shape<E, ErrHalf> {
        &self.err
    }

    /// Returns the codec of the `Result`.
    #[must_use]
    pub fn __join(self, ok: ValueCodec<T>, err: ValueCodec<E>) -> ResultCodec<T, E> {
        ResultCodec { ok, err }
    }
}

impl<T> Output<T> {
    /// Returns the shape of the output.
    #[must_use]
    pub fn __ok(&self) -> Shape<T> {
        self.0
    }

    /// Returns what stands for the missing `Err`.
    #[must_use]
    pub fn __err(&self) -> &NoErr {
        &NoErr
    }

    /// Returns the codec of the output.
    #[must_use]
    pub fn __join<Codec>(self, codec: Codec, _: NoErr) -> Codec {
        codec
    }
}

impl NoErr {
    /// Returns what stands for the missing codec.
    #[must_use]
    pub fn __err_codec(&self) -> Self {
        Self
    }
}

/// The codec of a `Result`.
#[derive(Debug)]
pub struct ResultCodec<T, E> {
    ok: ValueCodec<T>,
    err: ValueCodec<E>,
}

impl<T, E> ResultCodec<T, E> {
    /// Writes a value; `what` names it in the error.
    pub fn send<'s>(
        self,
        value: &'s result::Result<T, E>,
        what: &str,
        to: &mut Outgoing<'s>,
    ) -> Result<()> {
        to.put_now(what, &value.is_ok())?;
        match value {
            Ok(value) => self.ok.send(value, what, to),
            Err(error) => self.err.send(error, what, to),
        }
    }

    /// Reads a value.
    pub fn own(self, from: &mut Incoming) -> Result<result::Result<T, E>> {
        Ok(if from.take()? {
            Ok(self.ok.own(from)?)
        } else {
            Err(self.err.own(from)?)
        })
    }
}

/// Types that may be the `Ok` of a `Result`: those that are [`Transfer`].
#[diagnostic::on_unimplemented(
    message = "the `Ok` of this `Result` cannot be sent to another process: `{Self}`",
    label = "its `Ok` does not travel between processes",
    note = "processes share no memory: what they exchange must implement serde's `Serialize` and `Deserialize`; a type parameter \
            needs the bound `T: Transfer`",
    note = "a file, a socket or another owner of a descriptor can be the `Ok` itself; inside other types it travels as \
            `procession::Fd`"
)]
pub trait TransferOk: Transfer {}

#[diagnostic::do_not_recommend]
impl<T: Transfer> TransferOk for T {}

/// Types of an `Ok` that are neither arrays nor owners of a descriptor.
pub trait ByOk {
    /// The type itself.
    type Value;
    /// Returns the codec of such a value.
    fn __codec(&self) -> ValueCodec<Self::Value>
    where
        Self::Value: TransferOk;
}

impl<T> ByOk for Rest<T, OkHalf> {
    type Value = T;

    fn __codec(&self) -> ValueCodec<T>
    where
        T: TransferOk,
    {
        ValueCodec::by_serde()
    }
}

impl Shape<io::Error, ErrHalf> {
    /// Returns the codec of an I/O error.
    #[must_use]
    pub fn __err_codec(&self) -> ValueCodec<io::Error> {
        ValueCodec {
            send: |error, what, to| to.put_now(what, &Chain::of(error)),
            receive: |from| match received(from)? {
                Received::Io(error) => Ok(error),
                Received::Carried(_) => Err(Error::new(
                    ErrorKind::Decode,
                    "an error arrived that is no I/O error",
                )),
            },
        }
    }
}

/// Types of an `Err` that serde carries.
pub trait ByErrValue {
    /// The type itself.
    type Value;
    /// Returns the codec of such an error.
    fn __err_codec(&self) -> ValueCodec<Self::Value>;
}

impl<E: Transfer> ByErrValue for Shape<E, ErrHalf> {
    type Value = E;

    fn __err_codec(&self) -> ValueCodec<E> {
        ValueCodec::by_serde()
    }
}

/// Types of an `Err` that can be made of any error.
pub trait ByDynErr {
    /// The type itself.
    type Value;
    /// Returns the codec of such an error.
    fn __err_codec(&self) -> ValueCodec<Self::Value>;
}

impl<E> ByDynErr for &Shape<E, ErrHalf>
where
    E: Deref<Target: AnyError> + From<Carried> + From<io::Error>,
{
    type Value = E;

    fn __err_codec(&self) -> ValueCodec<E> {
        ValueCodec {
            send: |error, what, to| to.put_now(what, &Chain::of(error.any_error())),
            receive: |from| {
                Ok(match received(from)? {
                    Received::Io(error) => error.into(),
                    Received::Carried(error) => error.into(),
                })
            },
        }
    }
}

/// `dyn Error`, and the same with auto traits.
pub trait AnyError {
    /// Returns the error without auto traits.
    fn any_error(&self) -> &(dyn error::Error + 'static);
}

macro_rules! any_error {
    ($($error:ty,)*) => { $(
        impl AnyError for $error {
            fn any_error(&self) -> &(dyn error::Error + 'static) {
                self
            }
        }
    )* };
}

any_error! {
    dyn error::Error,
    dyn error::Error + Send,
    dyn error::Error + Send + Sync,
}

/// Types that may be the `Err` of a `Result`. Types that may be are found before this trait is
/// asked for, so it is not implemented.
#[diagnostic::on_unimplemented(
    message = "the `Err` of this `Result` cannot be sent to another process: `{Self}`",
    label = "its `Err` does not travel between processes",
    note = "these errors travel: `io::Error`, errors that implement serde's `Serialize` and `Deserialize`, and errors made of \
            any error, such as `procession::RemoteError`, `Box<dyn Error>` or `anyhow::Error`; a type parameter needs the bound \
            `E: Transfer`",
    note = "every error becomes a `procession::RemoteError` by `?`: return `Result<T, procession::RemoteError>`"
)]
pub trait TransferErr {}

/// All other types of an `Err`.
pub trait ByErr {
    /// The type itself.
    type Value;
    /// Never called.
    fn __err_codec(self) -> ValueCodec<Self::Value>
    where
        Self::Value: TransferErr;
}

impl<E> ByErr for Shape<E, ErrHalf> {
    type Value = E;

    fn __err_codec(self) -> ValueCodec<E>
    where
        E: TransferErr,
    {
        ValueCodec {
            send: |_, what, _| {
                Err(Error::new(
                    ErrorKind::Encode,
                    format!("{what} cannot be sent"),
                ))
            },
            receive: |_| Err(Error::new(ErrorKind::Decode, "it cannot be received")),
        }
    }
}

/// An error that arrived.
enum Received {
    Io(io::Error),
    Carried(Carried),
}

fn received(from: &mut Incoming) -> Result<Received> {
    let refused = |what| Error::new(ErrorKind::Decode, what);
    let error = from.take::<Chain>()?.arrived().map_err(refused)?;
    let error = match error.downcast() {
        Ok(error) => return Ok(Received::Io(*error)),
        Err(error) => error.downcast(),
    };
    match error {
        Ok(error) => Ok(Received::Carried(*error)),
        Err(_) => Err(refused("an error of an unknown type")),
    }
}
