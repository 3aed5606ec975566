//! The kinds of content that is sent as bytes, and the types that have such content.

use super::{super::blob::Arrived, probe};
use crate::sys::{
    pod::{self, Slot},
    segment::Width,
};
use bytemuck::{NoUninit, Pod};
use serde::de::{Error, Visitor};
use std::{any::TypeId, sync::Arc};

/// What the bytes of a content stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bytes,
    Text,
    /// A path that is not UTF-8.
    Path,
    Many(Number),
}

const MANY: u8 = 0x40;

impl Kind {
    /// Returns the byte that names the kind.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Bytes => 0,
            Self::Text => 1,
            Self::Path => 2,
            Self::Many(number) => MANY | number as u8,
        }
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Bytes),
            1 => Some(Self::Text),
            2 => Some(Self::Path),
            code => Number::from_code(code.checked_sub(MANY)?).map(Self::Many),
        }
    }

    /// Returns the width of the units of the content.
    pub(super) fn width(self) -> Width {
        match self {
            Self::Bytes | Self::Text | Self::Path => Width::One,
            Self::Many(number) => number.width(),
        }
    }
}

/// Content that stands for numbers.
pub(super) enum Content<'de> {
    /// It is among the bytes of the message.
    Inline(&'de [u8]),
    /// It came beside the message.
    Large(Arrived),
}

impl Content<'_> {
    /// Returns the bytes. Returns `None` if they are not of this width.
    pub(super) fn bytes(&self, width: Width) -> Option<&[u8]> {
        let unit = 1 << width.log2();
        match self {
            Self::Inline(bytes) => bytes.len().is_multiple_of(unit).then_some(bytes),
            Self::Large(arrived) => arrived.bytes(width),
        }
    }

    fn into_vec<N: Pod>(self) -> Option<Vec<N>> {
        match self {
            Self::Inline(bytes) => Some(bytemuck::pod_collect_to_vec(bytes)),
            Self::Large(arrived) => arrived.into_vec(),
        }
    }
}

macro_rules! numbers {
    ($($name:ident $number:ty, |$value:ident, $exact:ident, $visitor:ident| $show:expr;)*) => {
        /// The types of numbers that are sent as bytes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(in crate::wire) enum Number {
            $($name,)*
        }

        /// One number.
        #[derive(Clone, Copy, Debug)]
        pub(super) enum Scalar {
            $($name($number),)*
        }

        // What is generic over a visitor is not generic over the type of number too: each of these
        // would be compiled twelve times for each visitor of a user's types.
        impl Number {
            const ALL: &[Self] = &[$(Self::$name,)*];

            pub(super) fn from_code(code: u8) -> Option<Self> {
                Self::ALL.get(usize::from(code)).copied()
            }

            /// Returns which type of number `T` is, or `None` if it is none of them.
            pub(in crate::wire) fn of<T>() -> Option<Self> {
                $(if typeid::of::<T>() == typeid::of::<$number>() {
                    return Some(Self::$name);
                })*
                None
            }

            pub(super) fn width(self) -> Width {
                match self {
                    $(Self::$name => const { Width::of::<$number>() },)*
                }
            }

            /// Reads a number from bytes of its width.
            pub(super) fn read(self, bytes: &[u8]) -> Scalar {
                match self {
                    $(Self::$name => Scalar::$name(bytemuck::pod_read_unaligned(bytes)),)*
                }
            }

            /// Whether this is serde's own visitor of a vector of these numbers.
            pub(super) fn has_vectors_from(self, visitor: TypeId) -> bool {
                let own = match self {
                    $(Self::$name => probe::visitor_of::<Vec<$number>>(),)*
                };
                own == Some(visitor)
            }

            /// Puts the content as a vector into the slot. Does nothing if the slot is for another
            /// type, or if the content is of another width.
            pub(super) fn put_vector(self, content: Content<'_>, slot: &mut Slot<'_>) {
                match self {
                    $(Self::$name => {
                        if let Some(numbers) = content.into_vec::<$number>() {
                            slot.put(numbers);
                        }
                    })*
                }
            }
        }

        impl Scalar {
            /// Shows the number to a visitor: with its own type if `exact`, and otherwise as JSON
            /// would show it.
            pub(super) fn show<'de, V: Visitor<'de>, E: Error>(
                self,
                exact: bool,
                visitor: V,
            ) -> Result<V::Value, E> {
                match self {
                    $(Self::$name(number) => {
                        let ($value, $exact, $visitor) = (number, exact, visitor);
                        $show
                    })*
                }
            }
        }

        fn numbers<'a, R: 'a>(reference: &R) -> Option<(Kind, &'a [u8])> {
            $(if let Some(slice) = slice::<R, $number>(reference) {
                return Some((Kind::Many(Number::$name), bytemuck::cast_slice(slice)));
            })*
            None
        }
    };
}

numbers! {
    U8 u8, |value, _exact, visitor| visitor.visit_u8(value);
    U16 u16, |value, _exact, visitor| visitor.visit_u16(value);
    U32 u32, |value, _exact, visitor| visitor.visit_u32(value);
    U64 u64, |value, _exact, visitor| visitor.visit_u64(value);
    U128 u128, |value, exact, visitor| match u64::try_from(value) {
        Ok(value) if !exact => visitor.visit_u64(value),
        _ => visitor.visit_u128(value),
    };
    I8 i8, |value, exact, visitor| match u8::try_from(value) {
        Ok(value) if !exact => visitor.visit_u8(value),
        _ => visitor.visit_i8(value),
    };
    I16 i16, |value, exact, visitor| match u16::try_from(value) {
        Ok(value) if !exact => visitor.visit_u16(value),
        _ => visitor.visit_i16(value),
    };
    I32 i32, |value, exact, visitor| match u32::try_from(value) {
        Ok(value) if !exact => visitor.visit_u32(value),
        _ => visitor.visit_i32(value),
    };
    I64 i64, |value, exact, visitor| match u64::try_from(value) {
        Ok(value) if !exact => visitor.visit_u64(value),
        _ => visitor.visit_i64(value),
    };
    I128 i128, |value, exact, visitor| match (u64::try_from(value), i64::try_from(value)) {
        (Ok(value), _) if !exact => visitor.visit_u64(value),
        (_, Ok(value)) if !exact => visitor.visit_i64(value),
        _ => visitor.visit_i128(value),
    };
    F32 f32, |value, _exact, visitor| visitor.visit_f32(value);
    F64 f64, |value, _exact, visitor| visitor.visit_f64(value);
}

/// Returns the slice if this is a reference to a slice of `N` or to its owner.
fn slice<'a, R: 'a, N: NoUninit>(reference: &R) -> Option<&'a [N]> {
    pod::target::<R, Vec<N>>(reference)
        .map(Vec::as_slice)
        .or_else(|| pod::target::<R, [N]>(reference))
        .or_else(|| pod::target::<R, Box<[N]>>(reference).map(AsRef::as_ref))
        .or_else(|| pod::target::<R, Arc<[N]>>(reference).map(AsRef::as_ref))
}

/// Returns the text if this is a reference to a text or to its owner.
fn text<'a, R: 'a>(reference: &R) -> Option<&'a str> {
    pod::target::<R, String>(reference)
        .map(String::as_str)
        .or_else(|| pod::target::<R, str>(reference))
        .or_else(|| pod::target::<R, Box<str>>(reference).map(AsRef::as_ref))
        .or_else(|| pod::target::<R, Arc<str>>(reference).map(AsRef::as_ref))
}

/// Returns the numbers as bytes if this is a reference to numbers.
pub(super) fn numbers_of<'a, R: 'a>(reference: &R) -> Option<(Kind, &'a [u8])> {
    numbers(reference)
}

/// Returns the content if this is a reference to numbers, bytes or text.
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
        let numbers = Number::ALL.iter().copied().map(Kind::Many);
        let kinds = [Kind::Bytes, Kind::Text, Kind::Path];
        for kind in kinds.into_iter().chain(numbers) {
            assert_eq!(Kind::from_code(kind.code()), Some(kind));
        }
        let known = (0..=u8::MAX).filter(|code| Kind::from_code(*code).is_some());
        assert_eq!(known.count(), kinds.len() + 12);
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
