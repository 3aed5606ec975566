//! Shows numbers that came as bytes one by one, to visitors that do not make a vector of them.

use super::{
    error::{Error, Result},
    kind::{Number, Scalar},
};
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, SeqAccess, Visitor},
    forward_to_deserialize_any,
};

/// The numbers that have not been shown yet.
pub(super) struct Elements<'b> {
    rest: &'b [u8],
    number: Number,
}

impl<'b> Elements<'b> {
    /// Shows all of the numbers as one sequence. The bytes are those of whole numbers.
    pub(super) fn visit<'de, V: Visitor<'de>>(
        number: Number,
        bytes: &'b [u8],
        visitor: V,
    ) -> Result<V::Value> {
        let mut elements = Self {
            rest: bytes,
            number,
        };
        let length = elements.left();
        let value = visitor.visit_seq(&mut elements)?;
        match elements.left() {
            0 => Ok(value),
            excess => Err(Error::invalid_length(
                length,
                &&*format!("{}", length - excess),
            )),
        }
    }

    /// Returns how many numbers have not been shown.
    fn left(&self) -> usize {
        self.rest.len() >> self.number.width().log2()
    }
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let width = 1 << self.number.width().log2();
        let Some((next, rest)) = self.rest.split_at_checked(width) else {
            return Ok(None);
        };
        self.rest = rest;
        seed.deserialize(self.number.read(next)).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left())
    }
}

impl<'de> Deserializer<'de> for Scalar {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.show(true, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
