//! Arrays of numbers at any depth, of any length. (Serde carries arrays of up to 32 elements.)

use super::{
    message::{Incoming, Outgoing},
    shape::{RefCodec, Shape, ValueCodec, array_of, elements, receive_elements, send_elements},
    transfer::Transfer,
};
use crate::error::{Error, ErrorKind, Result};
use std::vec;

/// Numbers, and arrays of them at any depth.
pub trait Numbers: Sized {
    /// The number itself.
    type Number: Transfer;
    /// How many numbers one value has.
    const COUNT: usize;
    /// Returns the numbers of all values.
    fn flat(values: &[Self]) -> &[Self::Number];
    /// Makes one value of the next numbers.
    fn next(numbers: &mut vec::IntoIter<Self::Number>) -> Result<Self>;
}

impl<T: Numbers, const N: usize> Numbers for [T; N] {
    type Number = T::Number;
    const COUNT: usize = N * T::COUNT;

    fn flat(values: &[Self]) -> &[T::Number] {
        T::flat(values.as_flattened())
    }

    fn next(numbers: &mut vec::IntoIter<T::Number>) -> Result<Self> {
        array_of(elements(|| T::next(numbers), N)?)
    }
}

macro_rules! numbers {
    ($($number:ty)*) => { $(
        impl Numbers for $number {
            type Number = Self;
            const COUNT: usize = 1;

            fn flat(values: &[Self]) -> &[Self] {
                values
            }

            fn next(numbers: &mut vec::IntoIter<Self>) -> Result<Self> {
                numbers.next().ok_or_else(another_length)
            }
        }
    )* };
}

numbers!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64 bool char);

/// Arrays of numbers, and references to them.
pub trait ByNumbers {
    /// The codec of such a value.
    type Codec;
    /// Returns the codec.
    fn __codec(&self) -> Self::Codec;
}

impl<T: Numbers, const N: usize, Place> ByNumbers for Shape<[T; N], Place> {
    type Codec = ValueCodec<[T; N]>;

    fn __codec(&self) -> Self::Codec {
        ValueCodec {
            send: |array, what, to| send_elements(T::flat(array), what, to),
            receive,
        }
    }
}

impl<'a, T: Numbers, const N: usize> ByNumbers for Shape<&'a [T; N]> {
    type Codec = RefCodec<'a, [T; N], Box<[T; N]>>;

    fn __codec(&self) -> Self::Codec {
        RefCodec::new(
            |array, what, to| send_elements(T::flat(array), what, to),
            |from| receive(from).map(Box::new),
            |held| held,
        )
    }
}

impl<'a, T: Numbers, const N: usize> ByNumbers for Shape<&'a [[T; N]]> {
    type Codec = RefCodec<'a, [[T; N]], Vec<[T; N]>>;

    fn __codec(&self) -> Self::Codec {
        RefCodec::new(send_slice, receive_slice, |held| held)
    }
}

fn receive<T: Numbers>(from: &mut Incoming) -> Result<T> {
    T::next(&mut receive_elements(from, T::COUNT)?.into_iter())
}

fn send_slice<'a, T: Numbers>(slice: &'a [T], what: &str, to: &mut Outgoing<'a>) -> Result<()> {
    to.put_now(what, &slice.len())?;
    send_elements(T::flat(slice), what, to)
}

fn receive_slice<T: Numbers>(from: &mut Incoming) -> Result<Vec<T>> {
    let length = from.take::<usize>()?;
    let count = length.checked_mul(T::COUNT).ok_or_else(another_length)?;
    let mut numbers = receive_elements(from, count)?.into_iter();
    elements(|| T::next(&mut numbers), length)
}

fn another_length() -> Error {
    Error::new(ErrorKind::Decode, "an array of another length arrived")
}
