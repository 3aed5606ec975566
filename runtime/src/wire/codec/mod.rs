//! The byte format: each of serde's types has a form of its own, structs have the names of their fields, and numbers and texts in bulk
//! are the bytes they are.
//!
//! What was written is what is read, whatever type asks for it: see [`tag`] for the form. [`Writer`](writer::Writer) sees every sequence
//! that is a slice of numbers, at any depth, and [`Reader`](reader::Reader) makes the vector of them again; what is large is not among
//! the bytes of the message, but beside them. Where the other side does not ask for a vector, as in an untagged enum, it is given the
//! elements.

mod depth;
mod element;
mod error;
mod kind;
mod path;
mod probe;
mod reader;
mod tag;
#[cfg(test)]
mod tests;
mod writer;

use super::{
    blob::{Arrived, Blobs},
    fd::Passage,
};
use error::Error;
pub(super) use kind::{ForNumber, Number, Plain};
use reader::Reader;
use serde::{Serialize, de::DeserializeOwned};
use std::os::fd::OwnedFd;
pub(super) use writer::INLINE;
use writer::Writer;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Appends `value` to `bytes`, the descriptors in it to `fds`, and what is too large in it to `blobs`.
pub(super) fn encode_with<T: Serialize + ?Sized>(
    bytes: &mut Vec<u8>,
    fds: &mut Vec<OwnedFd>,
    blobs: &mut Blobs<'_>,
    value: &T,
) -> Result<(), Cause> {
    let _passage = Passage::outward(fds);
    let done = Writer::new(bytes, Some(blobs)).value(value);
    // Of what the system refused, serde knows the words only.
    let refused = Passage::refused();
    done.map_err(|error| refused.map_or_else(|| error.into_cause(), Cause::from))
}

/// Appends the name of `value` to `bytes`, and lends `value` itself to `blobs`, if it is large and nothing but text or numbers.
/// Returns whether it was so.
pub(super) fn lend<'a, T: ?Sized>(
    bytes: &mut Vec<u8>,
    blobs: &mut Blobs<'a>,
    value: &'a T,
) -> bool {
    match kind::content_of::<&'a T>(&value) {
        Some((kind, content)) if content.len() > INLINE => {
            let place = blobs.lend(kind.width(), content);
            Writer::new(bytes, None).beside(kind, place);
            true
        }
        _ => false,
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
    if !lend(bytes, blobs, array) {
        let mut writer = Writer::new(bytes, Some(blobs));
        writer.content(kind, content).map_err(Error::into_cause)?;
    }
    Ok(true)
}

/// Reads a value from exactly `bytes`; the descriptors it names are taken from `fds`, and what is large from `blobs`.
pub(super) fn decode_with<T: DeserializeOwned>(
    bytes: &[u8],
    fds: &mut Vec<Option<OwnedFd>>,
    blobs: &mut [Option<Arrived>],
) -> Result<T, Cause> {
    let _passage = Passage::inward(fds);
    read(bytes, blobs).map_err(|error| Passage::refused().map_or(error, Cause::from))
}

/// Encodes what holds no descriptors, and is of a type of ours.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Cause> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes, None);
    writer.value(value).map_err(Error::into_cause)?;
    Ok(bytes)
}

/// Decodes what holds no descriptors.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Cause> {
    read(bytes, &mut [])
}

/// Reads a value as it was written; or if its type cannot be made of that, as JSON would show it.
///
/// A type that asks for whatever there is may be made for such formats. What the first attempt has taken out of `blobs` is gone, and so
/// is a second attempt that needs it.
fn read<T: DeserializeOwned>(bytes: &[u8], blobs: &mut [Option<Arrived>]) -> Result<T, Cause> {
    let mut attempt = |exact| {
        let mut reader = Reader::new(bytes, blobs, exact);
        let value = T::deserialize(&mut reader)?;
        reader.end().map(|()| value)
    };
    let first = attempt(true);
    first.or_else(|error| attempt(false).map_err(|_| error.into_cause()))
}
