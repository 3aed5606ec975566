//! Writes values: serde's calls become tags and bytes, slices of numbers become plain bytes, and
//! large content goes beside the message.

use super::{
    super::blob::Blobs,
    depth::Depth,
    error::{Error, Result},
    kind::{self, Kind, Number},
    path, tag,
};
use serde::{
    Serialize, Serializer,
    ser::{
        SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant,
    },
};

/// The largest content that is among the bytes of a message, in bytes. Larger content goes beside
/// it.
pub(in crate::wire) const INLINE: usize = 64 << 10;

/// Appends to the bytes of a message, and adds large content to its blobs.
pub(super) struct Writer<'w, 'a> {
    bytes: &'w mut Vec<u8>,
    /// `None` if everything must be among the bytes.
    blobs: Option<&'w mut Blobs<'a>>,
    depth: Depth,
}

/// Encodes a count. The format counts parts and bytes of content in 32 bits.
fn counted(count: usize) -> Result<[u8; 4]> {
    match u32::try_from(count) {
        Ok(count) => Ok(count.to_le_bytes()),
        Err(_) => Err(Error::said("it has more than 4294967295 parts")),
    }
}

impl<'w, 'a> Writer<'w, 'a> {
    pub(super) fn new(bytes: &'w mut Vec<u8>, blobs: Option<&'w mut Blobs<'a>>) -> Self {
        Self {
            bytes,
            blobs,
            depth: Depth::new(),
        }
    }

    /// Writes any value. Its type is visible here, so a path that is not UTF-8 is recognized.
    pub(super) fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        match path::bytes_of(value) {
            Some(path) => self.content(Kind::Path, path),
            None => value.serialize(&mut *self),
        }
    }

    /// Writes content of a kind.
    pub(super) fn content(&mut self, kind: Kind, content: &[u8]) -> Result<()> {
        if content.len() > INLINE
            && let Some(blobs) = &mut self.blobs
        {
            let place = blobs.take(kind.width(), content)?;
            self.beside(kind, place);
            return Ok(());
        }
        self.bytes.extend_from_slice(&[tag::LONG, kind.code()]);
        self.bytes.extend_from_slice(&counted(content.len())?);
        self.bytes.extend_from_slice(content);
        Ok(())
    }

    /// Writes the place of content that goes beside the message.
    pub(super) fn beside(&mut self, kind: Kind, place: u64) {
        self.bytes.extend_from_slice(&[tag::BESIDE, kind.code()]);
        self.bytes.extend_from_slice(&place.to_le_bytes());
    }

    fn text_or_bytes(&mut self, short: u8, kind: Kind, content: &[u8]) -> Result<()> {
        match u8::try_from(content.len()) {
            Ok(length) => {
                self.bytes.extend_from_slice(&[short, length]);
                self.bytes.extend_from_slice(content);
                Ok(())
            }
            Err(_) => self.content(kind, content),
        }
    }

    fn number<const WIDTH: usize>(&mut self, number: Number, bytes: [u8; WIDTH]) {
        self.bytes.push(tag::NUMBER | number as u8);
        self.bytes.extend_from_slice(&bytes);
    }

    /// Begins a value of several parts. Their number may differ from `length`.
    fn parts(&mut self, tag: u8, length: Option<usize>) -> Result<Parts<'_, 'w, 'a>> {
        counted(length.unwrap_or(0))?;
        self.depth.enter()?;
        self.bytes.push(tag);
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        Ok(Parts {
            writer: self,
            at,
            count: 0,
            levels: 1,
        })
    }

    /// Begins a variant. Its content follows.
    fn variant(&mut self, name: &'static str) -> Result<()> {
        self.depth.enter()?;
        self.bytes.push(tag::VARIANT);
        self.serialize_str(name)
    }

    fn variant_parts(
        &mut self,
        name: &'static str,
        tag: u8,
        length: usize,
    ) -> Result<Parts<'_, 'w, 'a>> {
        self.variant(name)?;
        let mut parts = self.parts(tag, Some(length))?;
        parts.levels += 1;
        Ok(parts)
    }
}

macro_rules! numbers {
    ($($method:ident($type:ty) $number:ident;)*) => {
        $(fn $method(self, value: $type) -> Result<()> {
            self.number(Number::$number, value.to_le_bytes());
            Ok(())
        })*
    };
}

impl<'p, 'w, 'a> Serializer for &'p mut Writer<'w, 'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Parts<'p, 'w, 'a>;
    type SerializeTuple = Parts<'p, 'w, 'a>;
    type SerializeTupleStruct = Parts<'p, 'w, 'a>;
    type SerializeTupleVariant = Parts<'p, 'w, 'a>;
    type SerializeMap = Parts<'p, 'w, 'a>;
    type SerializeStruct = Parts<'p, 'w, 'a>;
    type SerializeStructVariant = Parts<'p, 'w, 'a>;

    numbers! {
        serialize_i8(i8) I8;
        serialize_i16(i16) I16;
        serialize_i32(i32) I32;
        serialize_i64(i64) I64;
        serialize_i128(i128) I128;
        serialize_u8(u8) U8;
        serialize_u16(u16) U16;
        serialize_u32(u32) U32;
        serialize_u64(u64) U64;
        serialize_u128(u128) U128;
        serialize_f32(f32) F32;
        serialize_f64(f64) F64;
    }

    fn serialize_bool(self, value: bool) -> Result<()> {
        self.bytes.push(if value { tag::TRUE } else { tag::FALSE });
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<()> {
        self.bytes.push(tag::CHAR);
        self.bytes
            .extend_from_slice(&u32::from(value).to_le_bytes());
        Ok(())
    }

    fn serialize_str(self, text: &str) -> Result<()> {
        self.text_or_bytes(tag::SHORT_TEXT, Kind::Text, text.as_bytes())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<()> {
        self.text_or_bytes(tag::SHORT_BYTES, Kind::Bytes, bytes)
    }

    fn serialize_none(self) -> Result<()> {
        self.bytes.push(tag::NONE);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        self.depth.enter()?;
        self.bytes.push(tag::SOME);
        self.value(value)?;
        self.depth.leave();
        Ok(())
    }

    fn serialize_unit(self) -> Result<()> {
        self.bytes.push(tag::UNIT);
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<()> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<()> {
        self.value(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<()> {
        self.variant(variant)?;
        self.value(value)?;
        self.depth.leave();
        Ok(())
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Parts<'p, 'w, 'a>> {
        self.parts(tag::SEQ, length)
    }

    fn serialize_tuple(self, length: usize) -> Result<Parts<'p, 'w, 'a>> {
        self.parts(tag::SEQ, Some(length))
    }

    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<Parts<'p, 'w, 'a>> {
        self.parts(tag::SEQ, Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Parts<'p, 'w, 'a>> {
        self.variant_parts(variant, tag::SEQ, length)
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Parts<'p, 'w, 'a>> {
        self.parts(tag::MAP, length)
    }

    fn serialize_struct(self, _: &'static str, length: usize) -> Result<Parts<'p, 'w, 'a>> {
        self.parts(tag::MAP, Some(length))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Parts<'p, 'w, 'a>> {
        self.variant_parts(variant, tag::MAP, length)
    }

    /// Serde calls this for slices and vectors, wherever they are, and here their type is visible.
    fn collect_seq<I>(self, items: I) -> Result<()>
    where
        I: IntoIterator<Item: Serialize>,
    {
        if let Some((kind, numbers)) = kind::numbers_of(&items) {
            return self.content(kind, numbers);
        }
        let mut parts = self.parts(tag::SEQ, None)?;
        for item in items {
            parts.part(&item)?;
        }
        parts.finish()
    }

    // Serde keeps flattened fields, and the content of most tagged and untagged enums, in an
    // intermediate form before it makes a value of them. That form reports that it is
    // human-readable, so this one must do so too. Otherwise a type that has two forms, such as an
    // IP address, would be written in one form and read in the other.
    fn is_human_readable(&self) -> bool {
        true
    }
}

/// A value of several parts. Their number is written when all parts have been.
pub(super) struct Parts<'p, 'w, 'a> {
    writer: &'p mut Writer<'w, 'a>,
    at: usize,
    count: usize,
    levels: u8,
}

impl Parts<'_, '_, '_> {
    fn part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.count += 1;
        self.writer.value(value)
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
        self.writer.serialize_str(name)?;
        self.part(value)
    }

    fn finish(self) -> Result<()> {
        let count = counted(self.count)?;
        self.writer.bytes[self.at..][..count.len()].copy_from_slice(&count);
        (0..self.levels).for_each(|_| self.writer.depth.leave());
        Ok(())
    }
}

macro_rules! parts {
    ($($part:ident $method:ident($($name:ident)?) $to:ident;)*) => {
        $(impl $part for Parts<'_, '_, '_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($name: &'static str,)?
                value: &T,
            ) -> Result<()> {
                self.$to($($name,)? value)
            }

            fn end(self) -> Result<()> {
                self.finish()
            }
        })*
    };
}

parts! {
    SerializeSeq serialize_element() part;
    SerializeTuple serialize_element() part;
    SerializeTupleStruct serialize_field() part;
    SerializeTupleVariant serialize_field() part;
    SerializeStruct serialize_field(name) field;
    SerializeStructVariant serialize_field(name) field;
}

impl SerializeMap for Parts<'_, '_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.writer.value(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.part(value)
    }

    fn end(self) -> Result<()> {
        self.finish()
    }
}
