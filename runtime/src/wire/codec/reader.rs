//! Reads values: tags become calls to serde's visitors, and bytes become the vectors that they
//! were.
//!
//! A type that accepts any value is shown exactly what was written. Visitors that were made for
//! formats such as JSON may not know options, or not all types of numbers. For them the value can
//! be read again, shown as JSON would show it.

use super::{
    super::blob::Arrived,
    depth::Depth,
    element::Elements,
    error::{Error, Result},
    kind::{Content, Kind, Number},
    path, tag,
};
use crate::sys::pod;
use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, EnumAccess, Error as _, MapAccess, SeqAccess, Unexpected, VariantAccess,
        Visitor,
    },
};
use std::str;

/// Reads from the bytes of a message, and takes large contents from the blobs beside it.
pub(super) struct Reader<'de, 'b> {
    rest: &'de [u8],
    beside: &'b mut [Option<Arrived>],
    depth: Depth,
    /// Whether visitors are shown exactly what was written, and not what JSON would show.
    exact: bool,
}

impl<'de, 'b> Reader<'de, 'b> {
    pub(super) fn new(bytes: &'de [u8], beside: &'b mut [Option<Arrived>], exact: bool) -> Self {
        Self {
            rest: bytes,
            beside,
            depth: Depth::new(),
            exact,
        }
    }

    /// Fails if bytes are left over.
    pub(super) fn end(&self) -> Result<()> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Error::said("bytes are left over"))
        }
    }

    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (first, rest) = self.rest.split_first_chunk().ok_or_else(ended)?;
        self.rest = rest;
        Ok(*first)
    }

    fn byte(&mut self) -> Result<u8> {
        self.take().map(|[byte]| byte)
    }

    fn slice(&mut self, length: usize) -> Result<&'de [u8]> {
        let (first, rest) = self.rest.split_at_checked(length).ok_or_else(ended)?;
        self.rest = rest;
        Ok(first)
    }

    fn short(&mut self) -> Result<&'de [u8]> {
        let length = self.byte()?;
        self.slice(length.into())
    }

    fn count(&mut self) -> Result<usize> {
        usize::try_from(u32::from_le_bytes(self.take()?)).map_err(Error::said)
    }

    /// Reads the number of parts. Each part has at least `each` bytes, so a number that the rest
    /// cannot hold is an error.
    fn parts(&mut self, each: usize) -> Result<usize> {
        let count = self.count()?;
        if count > self.rest.len() / each {
            return Err(ended());
        }
        Ok(count)
    }

    fn kind(&mut self) -> Result<Kind> {
        Kind::from_code(self.byte()?).ok_or_else(malformed)
    }

    /// Takes the blob at the place that the bytes name.
    fn arrived(&mut self) -> Result<Arrived> {
        let place = u64::from_le_bytes(self.take()?);
        usize::try_from(place)
            .ok()
            .and_then(|place| self.beside.get_mut(place)?.take())
            .ok_or_else(|| Error::said("something is beside the message that did not come with it"))
    }

    fn within<R>(&mut self, read: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        self.depth.enter()?;
        let value = read(self)?;
        self.depth.leave();
        Ok(value)
    }

    /// Skips the tag of an option. A visitor that asks for a certain type does not want an option.
    fn skip_some(&mut self) {
        while self.peek() == Some(tag::SOME) {
            self.rest = &self.rest[1..];
        }
    }

    /// Shows the next value to the visitor, whatever it is.
    fn show<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        match self.byte()? {
            tag::NONE if self.exact => visitor.visit_none(),
            tag::SOME => self.show_some(visitor),
            tag::NONE | tag::UNIT => visitor.visit_unit(),
            tag::FALSE => visitor.visit_bool(false),
            tag::TRUE => visitor.visit_bool(true),
            tag::CHAR => {
                let code = u32::from_le_bytes(self.take()?);
                visitor.visit_char(char::from_u32(code).ok_or_else(malformed)?)
            }
            tag::SHORT_TEXT => visitor.visit_borrowed_str(text(self.short()?)?),
            tag::SHORT_BYTES => visitor.visit_borrowed_bytes(self.short()?),
            tag::LONG => {
                let kind = self.kind()?;
                let length = self.count()?;
                let content = self.slice(length)?;
                show_content(kind, content, visitor)
            }
            tag::BESIDE => {
                let kind = self.kind()?;
                let arrived = self.arrived()?;
                show_arrived(kind, arrived, visitor)
            }
            tag::SEQ => self.show_seq(visitor),
            tag::MAP => {
                let count = self.parts(2)?;
                self.show_map(count, visitor)
            }
            // A visitor that does not ask for an enum gets a map of one entry.
            tag::VARIANT => self.show_map(1, visitor),
            other => {
                let number = other.checked_sub(tag::NUMBER).and_then(Number::from_code);
                let number = number.ok_or_else(malformed)?;
                let bytes = self.slice(1 << number.width().log2())?;
                number.read(bytes).show(self.exact, visitor)
            }
        }
    }

    fn show_some<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let is_distinct = matches!(self.peek(), Some(tag::NONE | tag::UNIT | tag::SOME));
        if self.exact || is_distinct {
            self.within(|reader| visitor.visit_some(reader))
        } else {
            self.show(visitor)
        }
    }

    fn show_seq<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let count = self.parts(1)?;
        self.depth.enter()?;
        let mut parts = Parts::new(self, count);
        let value = visitor.visit_seq(&mut parts)?;
        parts.end(count)?;
        self.depth.leave();
        Ok(value)
    }

    fn show_map<V: Visitor<'de>>(&mut self, count: usize, visitor: V) -> Result<V::Value> {
        self.depth.enter()?;
        let mut parts = Parts::new(self, count);
        let value = visitor.visit_map(&mut parts)?;
        parts.end(count)?;
        self.depth.leave();
        Ok(value)
    }

    /// Shows a sequence. Bytes are shown as a sequence of numbers.
    fn show_sequence<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let before = self.rest;
        let bytes = match self.byte()? {
            tag::SHORT_BYTES => Some(Content::Inline(self.short()?)),
            tag::LONG if self.kind()? == Kind::Bytes => {
                let length = self.count()?;
                Some(Content::Inline(self.slice(length)?))
            }
            tag::BESIDE if self.kind()? == Kind::Bytes => Some(Content::Large(self.arrived()?)),
            _ => None,
        };
        if let Some(bytes) = bytes {
            return show_numbers(Number::U8, bytes, visitor);
        }
        self.rest = before;
        self.show(visitor)
    }
}

/// Shows content that is among the bytes of the message.
fn show_content<'de, V: Visitor<'de>>(
    kind: Kind,
    content: &'de [u8],
    visitor: V,
) -> Result<V::Value> {
    match kind {
        Kind::Text => visitor.visit_borrowed_str(text(content)?),
        Kind::Bytes => visitor.visit_borrowed_bytes(content),
        Kind::Path => match path::visit(content.to_vec(), visitor) {
            Ok(path) => Ok(path),
            Err((_, visitor)) => visitor.visit_borrowed_bytes(content),
        },
        Kind::Many(number) => show_numbers(number, Content::Inline(content), visitor),
    }
}

/// Shows content that arrived beside the message.
fn show_arrived<'de, V: Visitor<'de>>(
    kind: Kind,
    arrived: Arrived,
    visitor: V,
) -> Result<V::Value> {
    if let Kind::Many(number) = kind {
        return show_numbers(number, Content::Large(arrived), visitor);
    }
    let bytes: Vec<u8> = arrived.into_vec().ok_or_else(another)?;
    match kind {
        Kind::Text => visitor.visit_string(String::from_utf8(bytes).map_err(Error::said)?),
        Kind::Path => match path::visit(bytes, visitor) {
            Ok(path) => Ok(path),
            Err((bytes, visitor)) => visitor.visit_byte_buf(bytes),
        },
        _ => visitor.visit_byte_buf(bytes),
    }
}

fn text(bytes: &[u8]) -> Result<&str> {
    str::from_utf8(bytes).map_err(Error::said)
}

fn ended() -> Error {
    Error::said("it ends before its time")
}

fn malformed() -> Error {
    Error::said("bytes that do not say what they are")
}

/// Returns the error for content that is not of the stated kind.
fn another() -> Error {
    Error::said("the content is of another kind than it says")
}

/// Gives the whole vector to a visitor that makes just that, and the elements to any other visitor.
fn show_numbers<'de, V: Visitor<'de>>(
    number: Number,
    content: Content<'de>,
    visitor: V,
) -> Result<V::Value> {
    let bytes = content.bytes(number.width()).ok_or_else(another)?;
    if !number.has_vectors_from(typeid::of::<V>()) {
        return Elements::visit(number, bytes, visitor);
    }
    // This visitor makes exactly this type.
    pod::filled(|slot| number.put_vector(content, slot)).ok_or_else(another)
}

macro_rules! certain {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.skip_some();
            self.show(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for &mut Reader<'de, '_> {
    type Error = Error;

    certain! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128 deserialize_u8
        deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char
        deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_unit deserialize_map
        deserialize_identifier
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let before = self.depth.keep();
        let value = self.show(visitor);
        self.depth.restore(before);
        value
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.show(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek() {
            Some(tag::NONE) => {
                self.byte()?;
                visitor.visit_none()
            }
            Some(tag::SOME) => {
                self.byte()?;
                self.within(|reader| visitor.visit_some(reader))
            }
            // The writer wrote a unit. It becomes `None` here, as `null` does in JSON.
            Some(tag::UNIT) => self.show(visitor),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.skip_some();
        self.show_sequence(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.skip_some();
        let has_content = match self.peek() {
            Some(tag::VARIANT) => {
                self.byte()?;
                true
            }
            Some(tag::MAP) => {
                self.byte()?;
                if self.parts(2)? != 1 {
                    return Err(Error::invalid_value(Unexpected::Map, &"a variant"));
                }
                true
            }
            _ => false,
        };
        if !has_content {
            return visitor.visit_enum(Variant {
                reader: self,
                has_content,
            });
        }
        self.within(|reader| {
            visitor.visit_enum(Variant {
                reader,
                has_content,
            })
        })
    }

    /// It must be the same as for the writer, which has the reason.
    fn is_human_readable(&self) -> bool {
        true
    }
}

/// The parts of a sequence or map that have not been read yet.
struct Parts<'r, 'de, 'b> {
    reader: &'r mut Reader<'de, 'b>,
    left: usize,
}

impl<'r, 'de, 'b> Parts<'r, 'de, 'b> {
    fn new(reader: &'r mut Reader<'de, 'b>, left: usize) -> Self {
        Self { reader, left }
    }

    /// Fails if parts are left.
    fn end(self, count: usize) -> Result<()> {
        match self.left {
            0 => Ok(()),
            left => Err(Error::invalid_length(count, &&*format!("{}", count - left))),
        }
    }
}

impl<'de> SeqAccess<'de> for Parts<'_, 'de, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> MapAccess<'de> for Parts<'_, 'de, '_> {
    type Error = Error;

    fn next_key_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        self.next_element_seed(seed)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value> {
        seed.deserialize(&mut *self.reader)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// A variant of an enum. Its name is read next.
struct Variant<'r, 'de, 'b> {
    reader: &'r mut Reader<'de, 'b>,
    has_content: bool,
}

impl Variant<'_, '_, '_> {
    fn need_content(&self, what: &'static str) -> Result<()> {
        if self.has_content {
            return Ok(());
        }
        Err(Error::invalid_type(Unexpected::UnitVariant, &what))
    }
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de, '_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self)> {
        let name = seed.deserialize(&mut *self.reader)?;
        Ok((name, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de, '_> {
    type Error = Error;

    fn unit_variant(self) -> Result<()> {
        if self.has_content {
            <()>::deserialize(self.reader)?;
        }
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        self.need_content("newtype variant")?;
        seed.deserialize(self.reader)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        self.need_content("tuple variant")?;
        self.reader.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.need_content("struct variant")?;
        self.reader.deserialize_map(visitor)
    }
}
