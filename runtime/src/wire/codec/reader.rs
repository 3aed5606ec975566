//! Between serde and the format, on the way in: what the writer made bytes of is made again.

use super::{super::blob::Arrived, visitor::Visit};
use serde::{
    Deserializer,
    de::{DeserializeSeed, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor},
};
use std::{cell::RefCell, ptr};

/// Reads from the format, or from a part of it, and takes what is large from the blobs.
pub(super) struct Reader<'b, From> {
    pub(super) from: From,
    pub(super) beside: &'b Beside,
}

/// What there is to a message beside its bytes.
pub(super) struct Beside {
    /// Each until it is asked for.
    pub(super) blobs: RefCell<Vec<Option<Arrived>>>,
    /// Where the stack was when the reading began.
    bottom: usize,
}

/// How much of the stack may be taken by reading what is nested: half of what a thread has by default. The format has a limit, but
/// not for everything that can be nested.
const DEEPEST: usize = 1 << 20;

impl Beside {
    pub(super) fn new(blobs: Vec<Option<Arrived>>) -> Self {
        Self {
            blobs: RefCell::new(blobs),
            bottom: stack(),
        }
    }

    /// Makes sure that there is stack left to go deeper.
    pub(super) fn descend<E: Error>(&self) -> Result<(), E> {
        if self.bottom.abs_diff(stack()) > DEEPEST {
            return Err(E::custom("it is nested too deep"));
        }
        Ok(())
    }
}

/// An address on the stack, about where it ends now.
#[inline(never)]
fn stack() -> usize {
    let here = 0_u8;
    ptr::from_ref(&here).addr()
}

impl<'b, From> Reader<'b, From> {
    pub(super) fn new(from: From, beside: &'b Beside) -> Self {
        Self { from, beside }
    }

    fn wrap<Inner>(&self, inner: Inner) -> Reader<'b, Inner> {
        Reader::new(inner, self.beside)
    }
}

macro_rules! forward {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, From::Error> {
            self.from.$method(Visit::anything(visitor, self.beside))
        })*
    };
}

impl<'de, From: Deserializer<'de>> Deserializer<'de> for Reader<'_, From> {
    type Error = From::Error;

    forward! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8
        deserialize_u16 deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64 deserialize_char deserialize_str
        deserialize_string deserialize_bytes deserialize_byte_buf deserialize_option deserialize_unit deserialize_map
        deserialize_identifier deserialize_ignored_any
    }

    // What follows asks the format for whatever there is: asked for these, it would take bytes for what they are not.

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, From::Error> {
        self.deserialize_any(visitor)
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, From::Error> {
        self.deserialize_any(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, From::Error> {
        self.from
            .deserialize_any(Visit::sequence(visitor, self.beside))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, From::Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, From::Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, From::Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, From::Error> {
        self.from
            .deserialize_unit_struct(name, Visit::anything(visitor, self.beside))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, From::Error> {
        self.from
            .deserialize_newtype_struct(name, Visit::anything(visitor, self.beside))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, From::Error> {
        let visitor = Visit::anything(visitor, self.beside);
        self.from.deserialize_enum(name, variants, visitor)
    }

    fn is_human_readable(&self) -> bool {
        self.from.is_human_readable()
    }
}

/// Something inside of another, to be read in the same way.
impl<'de, Seed: DeserializeSeed<'de>> DeserializeSeed<'de> for Reader<'_, Seed> {
    type Value = Seed::Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Seed::Value, D::Error> {
        self.beside.descend()?;
        self.from.deserialize(Reader::new(from, self.beside))
    }
}

impl<'de, Parts: SeqAccess<'de>> SeqAccess<'de> for Reader<'_, Parts> {
    type Error = Parts::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Parts::Error> {
        let seed = self.wrap(seed);
        self.from.next_element_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.from.size_hint()
    }
}

impl<'de, Parts: MapAccess<'de>> MapAccess<'de> for Reader<'_, Parts> {
    type Error = Parts::Error;

    fn next_key_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Parts::Error> {
        let seed = self.wrap(seed);
        self.from.next_key_seed(seed)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<T::Value, Parts::Error> {
        let seed = self.wrap(seed);
        self.from.next_value_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.from.size_hint()
    }
}

impl<'de, 'b, Parts: EnumAccess<'de>> EnumAccess<'de> for Reader<'b, Parts> {
    type Error = Parts::Error;
    type Variant = Reader<'b, Parts::Variant>;

    fn variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<(T::Value, Self::Variant), Parts::Error> {
        let seed = self.wrap(seed);
        let (value, variant) = self.from.variant_seed(seed)?;
        Ok((value, Reader::new(variant, self.beside)))
    }
}

impl<'de, Variant: VariantAccess<'de>> VariantAccess<'de> for Reader<'_, Variant> {
    type Error = Variant::Error;

    fn unit_variant(self) -> Result<(), Variant::Error> {
        self.from.unit_variant()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<T::Value, Variant::Error> {
        let seed = self.wrap(seed);
        self.from.newtype_variant_seed(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Variant::Error> {
        self.from
            .tuple_variant(length, Visit::anything(visitor, self.beside))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Variant::Error> {
        self.from
            .struct_variant(fields, Visit::anything(visitor, self.beside))
    }
}
