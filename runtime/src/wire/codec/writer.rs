//! Between serde and the format, on the way out: slices of numbers become bytes, and large bytes go beside the message.

use super::{
    super::blob::Blobs,
    INLINE,
    kind::{self, Kind, Number},
};
use serde::{
    Serialize, Serializer,
    ser::{
        Error, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant,
    },
};
use std::cell::RefCell;

/// Writes to the format, or to a part of it, and adds what is large to the blobs.
pub(super) struct Writer<'b, 'a, To> {
    to: To,
    blobs: &'b RefCell<Blobs<'a>>,
}

/// The format counts in 32 bits, and does not look when it is given more.
const MOST: usize = u32::MAX as usize;

impl<'b, 'a, To> Writer<'b, 'a, To> {
    pub(super) fn new(to: To, blobs: &'b RefCell<Blobs<'a>>) -> Self {
        Self { to, blobs }
    }

    fn wrap<'v, T: ?Sized>(&self, value: &'v T) -> Wrapped<'v, 'b, 'a, T> {
        Wrapped {
            value,
            blobs: self.blobs,
        }
    }
}

impl<'b, 'a, To: Serializer> Writer<'b, 'a, To> {
    /// Writes content of a kind.
    pub(super) fn content(self, kind: Kind, content: &[u8]) -> Result<To::Ok, To::Error> {
        if content.len() <= INLINE {
            return kind.before(content, |bytes| self.to.serialize_bytes(bytes));
        }
        let place = self.blobs.borrow_mut().copy(kind.width(), content);
        let name = kind.beside(place.map_err(To::Error::custom)?);
        self.to.serialize_bytes(&name)
    }

    /// Goes on with the parts of something.
    fn parts<Parts>(
        self,
        length: Option<usize>,
        begin: impl FnOnce(To) -> Result<Parts, To::Error>,
    ) -> Result<Writer<'b, 'a, Parts>, To::Error> {
        if length.is_some_and(|length| length > MOST) {
            return Err(To::Error::custom("it has more than 4294967295 parts"));
        }
        Ok(Writer {
            to: begin(self.to)?,
            blobs: self.blobs,
        })
    }
}

/// A value inside of another, to be written in the same way.
struct Wrapped<'v, 'b, 'a, T: ?Sized> {
    value: &'v T,
    blobs: &'b RefCell<Blobs<'a>>,
}

impl<T: Serialize + ?Sized> Serialize for Wrapped<'_, '_, '_, T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Writer::new(to, self.blobs))
    }
}

macro_rules! forward {
    ($($method:ident($type:ty))*) => {
        $(fn $method(self, value: $type) -> Result<To::Ok, To::Error> {
            self.to.$method(value)
        })*
    };
}

impl<'b, 'a, To: Serializer> Serializer for Writer<'b, 'a, To> {
    type Ok = To::Ok;
    type Error = To::Error;
    type SerializeSeq = Writer<'b, 'a, To::SerializeSeq>;
    type SerializeTuple = Writer<'b, 'a, To::SerializeTuple>;
    type SerializeTupleStruct = Writer<'b, 'a, To::SerializeTupleStruct>;
    type SerializeTupleVariant = Writer<'b, 'a, To::SerializeTupleVariant>;
    type SerializeMap = Writer<'b, 'a, To::SerializeMap>;
    type SerializeStruct = Writer<'b, 'a, To::SerializeStruct>;
    type SerializeStructVariant = Writer<'b, 'a, To::SerializeStructVariant>;

    forward! {
        serialize_bool(bool)
        serialize_i8(i8)
        serialize_i16(i16)
        serialize_i32(i32)
        serialize_i64(i64)
        serialize_u8(u8)
        serialize_u16(u16)
        serialize_u32(u32)
        serialize_u64(u64)
        serialize_f32(f32)
        serialize_f64(f64)
        serialize_char(char)
        serialize_unit_struct(&'static str)
    }

    fn serialize_i128(self, value: i128) -> Result<To::Ok, To::Error> {
        self.content(Kind::Single(Number::I128), &value.to_ne_bytes())
    }

    fn serialize_u128(self, value: u128) -> Result<To::Ok, To::Error> {
        self.content(Kind::Single(Number::U128), &value.to_ne_bytes())
    }

    fn serialize_str(self, text: &str) -> Result<To::Ok, To::Error> {
        if text.len() <= INLINE {
            self.to.serialize_str(text)
        } else {
            self.content(Kind::Text, text.as_bytes())
        }
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<To::Ok, To::Error> {
        self.content(Kind::Bytes, bytes)
    }

    fn serialize_none(self) -> Result<To::Ok, To::Error> {
        self.to.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<To::Ok, To::Error> {
        let value = self.wrap(value);
        self.to.serialize_some(&value)
    }

    fn serialize_unit(self) -> Result<To::Ok, To::Error> {
        self.to.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<To::Ok, To::Error> {
        self.to.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<To::Ok, To::Error> {
        let value = self.wrap(value);
        self.to.serialize_newtype_struct(name, &value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<To::Ok, To::Error> {
        let value = self.wrap(value);
        self.to
            .serialize_newtype_variant(name, index, variant, &value)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self::SerializeSeq, To::Error> {
        self.parts(length, |to| to.serialize_seq(length))
    }

    fn serialize_tuple(self, length: usize) -> Result<Self::SerializeTuple, To::Error> {
        self.parts(Some(length), |to| to.serialize_tuple(length))
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleStruct, To::Error> {
        self.parts(Some(length), |to| to.serialize_tuple_struct(name, length))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleVariant, To::Error> {
        self.parts(Some(length), |to| {
            to.serialize_tuple_variant(name, index, variant, length)
        })
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self::SerializeMap, To::Error> {
        self.parts(length, |to| to.serialize_map(length))
    }

    fn serialize_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStruct, To::Error> {
        self.parts(Some(length), |to| to.serialize_struct(name, length))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStructVariant, To::Error> {
        self.parts(Some(length), |to| {
            to.serialize_struct_variant(name, index, variant, length)
        })
    }

    /// This is how serde writes slices and vectors, whatever they are in, and here it says of what type they are.
    fn collect_seq<I>(self, items: I) -> Result<To::Ok, To::Error>
    where
        I: IntoIterator<Item: Serialize>,
    {
        if let Some((kind, numbers)) = kind::numbers_of(&items) {
            return self.content(kind, numbers);
        }
        let mut items = items.into_iter();
        let length = match items.size_hint() {
            (least, Some(most)) if least == most => Some(least),
            _ => None,
        };
        let mut parts = self.serialize_seq(length)?;
        items.try_for_each(|item| SerializeSeq::serialize_element(&mut parts, &item))?;
        SerializeSeq::end(parts)
    }

    fn is_human_readable(&self) -> bool {
        self.to.is_human_readable()
    }
}

macro_rules! parts {
    ($($part:ident $method:ident $($more:ident)?;)*) => {
        $(impl<Parts: $part> $part for Writer<'_, '_, Parts> {
            type Ok = Parts::Ok;
            type Error = Parts::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Parts::Error> {
                let value = self.wrap(value);
                self.to.$method(&value)
            }

            $(fn $more<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Parts::Error> {
                let value = self.wrap(value);
                self.to.$more(&value)
            })?

            fn end(self) -> Result<Parts::Ok, Parts::Error> {
                self.to.end()
            }
        })*
    };
}

parts! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
    SerializeMap serialize_key serialize_value;
}

macro_rules! fields {
    ($($part:ident)*) => {
        $(impl<Parts: $part> $part for Writer<'_, '_, Parts> {
            type Ok = Parts::Ok;
            type Error = Parts::Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Parts::Error> {
                let value = self.wrap(value);
                self.to.serialize_field(name, &value)
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), Parts::Error> {
                self.to.skip_field(name)
            }

            fn end(self) -> Result<Parts::Ok, Parts::Error> {
                self.to.end()
            }
        })*
    };
}

fields! { SerializeStruct SerializeStructVariant }
