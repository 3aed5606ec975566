//! Shows numbers that came as bytes one by one, to visitors that do not make a vector of them.

use super::kind::Plain;
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, SeqAccess, Visitor},
    forward_to_deserialize_any,
};
use std::{marker::PhantomData, vec};

/// The numbers that have not been shown yet.
pub(super) struct Elements<N, E> {
    rest: vec::IntoIter<N>,
    error: PhantomData<E>,
}

impl<N: Plain, E: Error> Elements<N, E> {
    /// Shows all of the numbers as one sequence.
    pub(super) fn visit<'de, V: Visitor<'de>>(numbers: Vec<N>, visitor: V) -> Result<V::Value, E> {
        let length = numbers.len();
        let mut elements = Self {
            rest: numbers.into_iter(),
            error: PhantomData,
        };
        let value = visitor.visit_seq(&mut elements)?;
        match elements.rest.len() {
            0 => Ok(value),
            excess => Err(E::invalid_length(length, &&*format!("{}", length - excess))),
        }
    }
}

impl<'de, N: Plain, E: Error> SeqAccess<'de> for Elements<N, E> {
    type Error = E;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, E> {
        let next = self.rest.next().map(|number| Element {
            number,
            error: PhantomData,
        });
        next.map(|element| seed.deserialize(element)).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// One number.
struct Element<N, E> {
    number: N,
    error: PhantomData<E>,
}

impl<'de, N: Plain, E: Error> Deserializer<'de> for Element<N, E> {
    type Error = E;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        self.number.show(true, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, E> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
