//! A visitor to which the format shows what it read, and which shows the user's visitor what was written.

use super::{
    super::blob::Arrived,
    element::Elements,
    kind::{ForNumber, Kind, Plain},
    probe,
    reader::{Beside, Reader},
};
use crate::sys::pod;
use serde::{
    Deserializer,
    de::{EnumAccess, Error, MapAccess, SeqAccess, Visitor},
};
use std::{fmt, marker::PhantomData};

/// Shows the visitor everything as it is, but bytes, which say what they are.
pub(super) struct Visit<'b, V> {
    visitor: V,
    beside: &'b Beside,
    /// Whether the visitor has asked for a sequence.
    sequence: bool,
}

impl<'b, V> Visit<'b, V> {
    /// For a visitor that takes what comes.
    pub(super) fn anything(visitor: V, beside: &'b Beside) -> Self {
        Self {
            visitor,
            beside,
            sequence: false,
        }
    }

    /// For a visitor that wants a sequence.
    pub(super) fn sequence(visitor: V, beside: &'b Beside) -> Self {
        Self {
            visitor,
            beside,
            sequence: true,
        }
    }

    fn wrap<Inner>(beside: &'b Beside, inner: Inner) -> Reader<'b, Inner> {
        Reader::new(inner, beside)
    }
}

impl<'de, V: Visitor<'de>> Visit<'_, V> {
    /// Shows what bytes stand for.
    fn show<E: Error>(self, bytes: &[u8]) -> Result<V::Value, E> {
        let malformed = || E::custom("bytes that do not say what they are");
        let (kind, content) = bytes.split_first().ok_or_else(malformed)?;
        let (kind, beside) = Kind::read(*kind).ok_or_else(malformed)?;
        if beside {
            let arrived = self.take(content).ok_or_else(|| {
                E::custom("something is beside the message that did not come with it")
            })?;
            return self.show_arrived(kind, arrived);
        }
        match kind {
            Kind::Bytes if self.sequence => Elements::visit(content.to_vec(), self.visitor),
            Kind::Bytes => self.visitor.visit_bytes(content),
            Kind::Text => Err(malformed()),
            Kind::Single(number) => number.act(Single(content, self.visitor, PhantomData)),
            Kind::Many(number) => number.act(Inline(content, self, PhantomData)),
        }
    }

    /// Takes what came beside the message, at the place that is named.
    fn take(&self, place: &[u8]) -> Option<Arrived> {
        let place = u64::from_le_bytes(place.try_into().ok()?);
        let mut blobs = self.beside.blobs.borrow_mut();
        blobs.get_mut(usize::try_from(place).ok()?)?.take()
    }

    fn show_arrived<E: Error>(self, kind: Kind, arrived: Arrived) -> Result<V::Value, E> {
        if let Kind::Many(number) = kind {
            return number.act(Large(arrived, self, PhantomData));
        }
        let bytes: Vec<u8> = arrived.into_vec().ok_or_else(another)?;
        match kind {
            Kind::Text => {
                let text = String::from_utf8(bytes).map_err(E::custom)?;
                self.visitor.visit_string(text)
            }
            Kind::Bytes if self.sequence => self.show_numbers(bytes),
            Kind::Bytes => self.visitor.visit_byte_buf(bytes),
            Kind::Single(_) | Kind::Many(_) => Err(another()),
        }
    }

    /// Gives the visitor the vector it wants to make, or the elements for what it makes of them.
    fn show_numbers<N: Plain, E: Error>(self, numbers: Vec<N>) -> Result<V::Value, E> {
        if Some(typeid::of::<V>()) != probe::vec_visitor::<N>() {
            return Elements::visit(numbers, self.visitor);
        }
        // It makes this very type.
        pod::same(numbers).or_else(|numbers| Elements::visit(numbers, self.visitor))
    }
}

/// The error for what came beside the message and is not what was named.
fn another<E: Error>() -> E {
    E::custom("what came beside the message is of another kind than it says")
}

/// What a visitor is shown in, and in which error it fails.
type Context<'de, E> = PhantomData<(&'de (), E)>;

/// Shows one number.
struct Single<'de, 'c, V, E>(&'c [u8], V, Context<'de, E>);

impl<'de, V: Visitor<'de>, E: Error> ForNumber for Single<'de, '_, V, E> {
    type Out = Result<V::Value, E>;

    fn call<N: Plain>(self) -> Self::Out {
        let number = bytemuck::try_pod_read_unaligned::<N>(self.0).map_err(|_| another())?;
        number.show(self.1)
    }
}

/// Shows numbers that are among the bytes of the message.
struct Inline<'de, 'c, 'b, V, E>(&'c [u8], Visit<'b, V>, Context<'de, E>);

impl<'de, V: Visitor<'de>, E: Error> ForNumber for Inline<'de, '_, '_, V, E> {
    type Out = Result<V::Value, E>;

    fn call<N: Plain>(self) -> Self::Out {
        if !self.0.len().is_multiple_of(size_of::<N>()) {
            return Err(another());
        }
        self.1
            .show_numbers(bytemuck::pod_collect_to_vec::<u8, N>(self.0))
    }
}

/// Shows numbers that came beside the message.
struct Large<'de, 'b, V, E>(Arrived, Visit<'b, V>, Context<'de, E>);

impl<'de, V: Visitor<'de>, E: Error> ForNumber for Large<'de, '_, V, E> {
    type Out = Result<V::Value, E>;

    fn call<N: Plain>(self) -> Self::Out {
        self.1
            .show_numbers(self.0.into_vec::<N>().ok_or_else(another)?)
    }
}

macro_rules! forward {
    ($($method:ident($type:ty))*) => {
        $(fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.visitor.$method(value)
        })*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Visit<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    forward! {
        visit_bool(bool)
        visit_i8(i8)
        visit_i16(i16)
        visit_i32(i32)
        visit_i64(i64)
        visit_i128(i128)
        visit_u8(u8)
        visit_u16(u16)
        visit_u32(u32)
        visit_u64(u64)
        visit_u128(u128)
        visit_f32(f32)
        visit_f64(f64)
        visit_char(char)
        visit_str(&str)
        visit_borrowed_str(&'de str)
        visit_string(String)
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<V::Value, E> {
        self.show(bytes)
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit()
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<V::Value, D::Error> {
        self.beside.descend()?;
        self.visitor.visit_some(Self::wrap(self.beside, from))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, from: D) -> Result<V::Value, D::Error> {
        self.beside.descend()?;
        self.visitor
            .visit_newtype_struct(Self::wrap(self.beside, from))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, parts: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_seq(Self::wrap(self.beside, parts))
    }

    fn visit_map<A: MapAccess<'de>>(self, parts: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(Self::wrap(self.beside, parts))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, parts: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(Self::wrap(self.beside, parts))
    }
}
