//! The byte format: `MessagePack` with field names, which carries every serde attribute, and numbers and texts in bulk as the bytes
//! they are.
//!
//! [`Writer`](writer::Writer) and [`Reader`](reader::Reader) stand between serde and the format. The one sees every sequence that is a
//! slice of numbers, at any depth, and the other makes the vector of them again; what is large is not among the bytes of the
//! message, but beside them. Where the other side does not ask for a vector, as in an untagged enum, it is given the elements.

mod element;
mod kind;
mod probe;
mod reader;
#[cfg(test)]
mod tests;
mod visitor;
mod writer;

use super::{
    blob::{Arrived, Blobs},
    fd::Passage,
};
pub(super) use kind::{ForNumber, Number, Plain};
use reader::{Beside, Reader};
use serde::{Serialize, Serializer, de::DeserializeOwned};
use std::{cell::RefCell, error, os::fd::OwnedFd};
use writer::Writer;

type Cause = Box<dyn error::Error + Send + Sync>;

/// The largest bytes, text or numbers that stand among the bytes of a message.
pub(super) const INLINE: usize = 64 << 10;

/// Appends `value` to `bytes`, the descriptors in it to `fds`, and what is too large in it to `blobs`.
pub(super) fn encode_with<T: Serialize + ?Sized>(
    bytes: &mut Vec<u8>,
    fds: &mut Vec<OwnedFd>,
    blobs: &mut Blobs<'_>,
    value: &T,
) -> Result<(), Cause> {
    let passage = Passage::outward(fds);
    let aside = RefCell::new(std::mem::take(blobs));
    let mut format = rmp_serde::Serializer::new(bytes).with_struct_map();
    let done = value.serialize(Writer::new(&mut format, &aside));
    *blobs = aside.into_inner();
    drop(passage);
    Ok(done?)
}

/// Appends the name of `value` to `bytes`, and lends `value` itself to `blobs`, if it is large and nothing but text or numbers.
/// Returns whether it was so.
pub(super) fn lend<'a, T: ?Sized>(
    bytes: &mut Vec<u8>,
    blobs: &mut Blobs<'a>,
    value: &'a T,
) -> Result<bool, Cause> {
    match kind::content_of::<&'a T>(&value) {
        Some((kind, content)) if content.len() > INLINE => {
            let name = kind.beside(blobs.lend(kind.width(), content));
            rmp_serde::Serializer::new(bytes).serialize_bytes(&name)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// Appends `array` to `bytes` as the bytes it is, if it is one of numbers. Returns whether it was so.
pub(super) fn encode_numbers<'a, T>(
    bytes: &mut Vec<u8>,
    blobs: &mut Blobs<'a>,
    array: &'a [T],
) -> Result<bool, Cause> {
    let Some((kind, content)) = kind::numbers_of::<&'a [T]>(&array) else {
        return Ok(false);
    };
    if !lend(bytes, blobs, array)? {
        let aside = RefCell::new(std::mem::take(blobs));
        let mut format = rmp_serde::Serializer::new(bytes);
        let done = Writer::new(&mut format, &aside).content(kind, content);
        *blobs = aside.into_inner();
        done?;
    }
    Ok(true)
}

/// Reads a value from exactly `bytes`; the descriptors it names are taken from `fds`, and what is large from `blobs`.
pub(super) fn decode_with<T: DeserializeOwned>(
    bytes: &[u8],
    fds: &mut Vec<Option<OwnedFd>>,
    blobs: &mut Vec<Option<Arrived>>,
) -> Result<T, Cause> {
    let passage = Passage::inward(fds);
    let beside = Beside::new(std::mem::take(blobs));
    let mut format = rmp_serde::Deserializer::from_read_ref(bytes);
    let value = T::deserialize(Reader::new(&mut format, &beside));
    *blobs = beside.blobs.into_inner();
    drop(passage);
    Ok(value?)
}

/// Encodes what holds no descriptors, and is of a type of ours: without the names of fields, since both sides are of one build.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Cause> {
    Ok(rmp_serde::to_vec(value)?)
}

/// Decodes what holds no descriptors.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Cause> {
    Ok(rmp_serde::from_slice(bytes)?)
}
