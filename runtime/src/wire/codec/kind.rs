//! The kinds of bytes: each stands before its content, so that every run of bytes in a message says what it is.

use crate::sys::{pod, segment::Width};
use bytemuck::{NoUninit, Pod};
use serde::de::{DeserializeOwned, Error, Visitor};
use std::sync::Arc;

/// What a run of bytes stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bytes,
    /// Only beside the message: what is small has the form of the format.
    Text,
    /// Sixteen bytes, since the format has no such numbers.
    Single(Number),
    Many(Number),
}

/// A bit of the first byte: the content is beside the message, and what follows here is its place, in eight bytes.
const BESIDE: u8 = 0x80;
const SINGLE: u8 = 0x20;
const MANY: u8 = 0x40;

impl Kind {
    fn code(self) -> u8 {
        match self {
            Self::Bytes => 0,
            Self::Text => 1,
            Self::Single(number) => SINGLE | number as u8,
            Self::Many(number) => MANY | number as u8,
        }
    }

    /// Reads the first byte: the kind, and whether its content is beside the message.
    pub(super) fn read(byte: u8) -> Option<(Self, bool)> {
        let number = |code| Number::ALL.get(usize::from(code)).copied();
        let kind = match byte & !BESIDE {
            0 => Self::Bytes,
            1 => Self::Text,
            code @ SINGLE..MANY => Self::Single(number(code - SINGLE)?),
            code => Self::Many(number(code.checked_sub(MANY)?)?),
        };
        Some((kind, byte & BESIDE != 0))
    }

    /// How wide the units of the content are.
    pub(super) fn width(self) -> Width {
        match self {
            Self::Bytes | Self::Text => Width::One,
            Self::Single(number) | Self::Many(number) => number.width(),
        }
    }

    /// The name of content that is beside the message.
    pub(super) fn beside(self, place: u64) -> [u8; 9] {
        let mut name = [self.code() | BESIDE; 9];
        name[1..].copy_from_slice(&place.to_le_bytes());
        name
    }

    /// Hands on the content with its kind before it.
    pub(super) fn before<R>(self, content: &[u8], then: impl FnOnce(&[u8]) -> R) -> R {
        // Small ones need no memory.
        let mut small = [0; 128];
        if let Some(room) = small.get_mut(..=content.len()) {
            room[0] = self.code();
            room[1..].copy_from_slice(content);
            return then(room);
        }
        let mut large = Vec::with_capacity(1 + content.len());
        large.push(self.code());
        large.extend_from_slice(content);
        then(&large)
    }
}

/// Something done for a type of number.
pub(in crate::wire) trait ForNumber {
    type Out;
    fn call<N: Plain>(self) -> Self::Out;
}

/// A number whose bytes are all there is to it, and of which any bytes make one.
pub(in crate::wire) trait Plain: Pod + DeserializeOwned {
    /// Shows itself, as the format does: what fits into 64 bits is not shown as longer, for much of serde knows no longer numbers.
    fn show<'de, V: Visitor<'de>, E: Error>(self, visitor: V) -> Result<V::Value, E>;
}

macro_rules! numbers {
    ($($name:ident $number:ty, |$value:ident, $visitor:ident| $show:expr;)*) => {
        /// The types of numbers that move as bytes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(in crate::wire) enum Number {
            $($name,)*
        }

        impl Number {
            const ALL: &[Self] = &[$(Self::$name,)*];

            /// The number that `T` is, if it is one.
            pub(in crate::wire) fn of<T>() -> Option<Self> {
                $(if typeid::of::<T>() == typeid::of::<$number>() {
                    return Some(Self::$name);
                })*
                None
            }

            fn width(self) -> Width {
                match self {
                    $(Self::$name => const { Width::of::<$number>() },)*
                }
            }

            /// Does something for the type of number.
            pub(in crate::wire) fn act<A: ForNumber>(self, act: A) -> A::Out {
                match self {
                    $(Self::$name => act.call::<$number>(),)*
                }
            }
        }

        $(impl Plain for $number {
            fn show<'de, V: Visitor<'de>, E: Error>(self, $visitor: V) -> Result<V::Value, E> {
                let $value = self;
                $show
            }
        })*

        fn numbers<'a, R: 'a>(reference: &R) -> Option<(Kind, &'a [u8])> {
            $(if let Some(slice) = slice::<R, $number>(reference) {
                return Some((Kind::Many(Number::$name), bytemuck::cast_slice(slice)));
            })*
            None
        }
    };
}

numbers! {
    U8 u8, |value, visitor| visitor.visit_u8(value);
    U16 u16, |value, visitor| visitor.visit_u16(value);
    U32 u32, |value, visitor| visitor.visit_u32(value);
    U64 u64, |value, visitor| visitor.visit_u64(value);
    U128 u128, |value, visitor| match u64::try_from(value) {
        Ok(value) => visitor.visit_u64(value),
        Err(_) => visitor.visit_u128(value),
    };
    I8 i8, |value, visitor| visitor.visit_i8(value);
    I16 i16, |value, visitor| visitor.visit_i16(value);
    I32 i32, |value, visitor| visitor.visit_i32(value);
    I64 i64, |value, visitor| visitor.visit_i64(value);
    I128 i128, |value, visitor| match i64::try_from(value) {
        Ok(value) => visitor.visit_i64(value),
        Err(_) => visitor.visit_i128(value),
    };
    F32 f32, |value, visitor| visitor.visit_f32(value);
    F64 f64, |value, visitor| visitor.visit_f64(value);
}

/// The slice that a reference to it or to its owner stands for, if it is one of `N`.
fn slice<'a, R: 'a, N: NoUninit>(reference: &R) -> Option<&'a [N]> {
    pod::target::<R, Vec<N>>(reference)
        .map(Vec::as_slice)
        .or_else(|| pod::target::<R, [N]>(reference))
        .or_else(|| pod::target::<R, Box<[N]>>(reference).map(AsRef::as_ref))
        .or_else(|| pod::target::<R, Arc<[N]>>(reference).map(AsRef::as_ref))
}

/// The text that a reference to it or to its owner stands for, if it is one.
fn text<'a, R: 'a>(reference: &R) -> Option<&'a str> {
    pod::target::<R, String>(reference)
        .map(String::as_str)
        .or_else(|| pod::target::<R, str>(reference))
        .or_else(|| pod::target::<R, Box<str>>(reference).map(AsRef::as_ref))
        .or_else(|| pod::target::<R, Arc<str>>(reference).map(AsRef::as_ref))
}

/// The numbers that a reference stands for, as bytes, if it is one to numbers.
pub(super) fn numbers_of<'a, R: 'a>(reference: &R) -> Option<(Kind, &'a [u8])> {
    numbers(reference)
}

/// The numbers, the bytes or the text that a reference stands for, if it is one to such.
pub(super) fn content_of<'a, R: 'a>(reference: &R) -> Option<(Kind, &'a [u8])> {
    let bytes = || pod::target::<R, serde_bytes::ByteBuf>(reference);
    text(reference)
        .map(|text| (Kind::Text, text.as_bytes()))
        .or_else(|| bytes().map(|bytes| (Kind::Bytes, &bytes[..])))
        .or_else(|| numbers(reference))
}

#[cfg(test)]
mod tests {
    use super::{Kind, Number, content_of};
    use std::sync::Arc;

    #[test]
    fn code_tells_the_kind() {
        let numbers = Number::ALL.iter().copied();
        let all = [Kind::Bytes, Kind::Text]
            .into_iter()
            .chain(numbers.clone().map(Kind::Single))
            .chain(numbers.map(Kind::Many));
        for kind in all {
            assert_eq!(Kind::read(kind.code()), Some((kind, false)));
            assert_eq!(Kind::read(kind.beside(1)[0]), Some((kind, true)));
        }
        let known = (0..=u8::MAX).filter(|code| Kind::read(*code).is_some());
        assert_eq!(known.count(), 2 * (2 + 12 + 12));
    }

    #[test]
    fn content_is_seen_through_its_owners() {
        let vec = vec![1_i16, 2];
        let seen = Some((Kind::Many(Number::I16), &[1, 0, 2, 0][..]));
        assert_eq!(content_of(&&vec), seen);
        assert_eq!(content_of(&&vec[..]), seen);
        assert_eq!(content_of(&&Arc::<[i16]>::from(&vec[..])), seen);
        assert_eq!(content_of(&&Box::<[i16]>::from(&vec[..])), seen);
        assert_eq!(content_of(&&"a".to_owned()), Some((Kind::Text, &b"a"[..])));
        assert_eq!(content_of(&&vec!['a']), None);
        assert_eq!(content_of(&&vec![true]), None);
    }
}
