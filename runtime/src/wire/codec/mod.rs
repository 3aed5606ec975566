//! The byte format. Each of serde's types has an encoding of its own. Structs contain the names of
//! their fields. Text and slices of numbers are plain bytes.
//!
//! A reader gets exactly what was written, whatever type it asks for: see [`tag`] for the encoding.
//! [`Writer`](writer::Writer) recognizes every sequence that is a slice of numbers, at any depth,
//! and [`Reader`](reader::Reader) makes a vector of it again. Large content is not among the bytes
//! of the message, but in a blob beside them. If the receiving type does not ask for a vector, as
//! in an untagged enum, it gets the elements one by one.

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
use crate::sys::fd::OwnedFd;
use error::Error;
pub(super) use kind::Number;
use reader::Reader;
use serde::{Serialize, de::DeserializeOwned};

pub(super) use writer::INLINE;
use writer::Writer;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Appends `value` to `bytes`, its descriptors to `fds`, and its large contents to `blobs`.
pub(super) fn encode_with<T: Serialize + ?Sized>(
    bytes: &mut Vec<u8>,
    fds: &mut Vec<OwnedFd>,
    blobs: &mut Blobs<'_>,
    value: &T,
) -> Result<(), Cause> {
    let _passage = Passage::outward(fds);
    let done = Writer::new(bytes, Some(blobs)).value(value);
    // Serde keeps only the text of a system error.
    done.map_err(|error| Passage::refused().map_or_else(|| error.into_cause(), Cause::from))
}

/// If `value` is large and consists of text or numbers only, lends it to `blobs`, appends its place
/// to `bytes`, and returns `true`. Otherwise returns `false`.
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

/// Appends an array of numbers as bytes and returns `true`. Returns `false` if the elements are not
/// numbers.
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

/// Reads a value from exactly `bytes`. Takes its descriptors from `fds` and its large contents from
/// `blobs`.
pub(super) fn decode_with<T: DeserializeOwned>(
    bytes: &[u8],
    fds: &mut Vec<Option<OwnedFd>>,
    blobs: &mut [Option<Arrived>],
) -> Result<T, Cause> {
    let _passage = Passage::inward(fds);
    read(bytes, blobs).map_err(|error| Passage::refused().map_or(error, Cause::from))
}

/// Encodes a value of a type of this crate that holds no descriptors.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Cause> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes, None);
    writer.value(value).map_err(Error::into_cause)?;
    Ok(bytes)
}

/// Decodes a value that holds no descriptors.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Cause> {
    read(bytes, &mut [])
}

/// Reads a value as it was written. If its type cannot be made of that, reads it again, shown as
/// JSON would show it.
///
/// A type that accepts any value may be made for formats like JSON. Blobs that the first attempt
/// took are gone, so a second attempt that needs them fails.
fn read<T: DeserializeOwned>(bytes: &[u8], blobs: &mut [Option<Arrived>]) -> Result<T, Cause> {
    let mut attempt = |exact| {
        let mut reader = Reader::new(bytes, blobs, exact);
        let value = T::deserialize(&mut reader)?;
        reader.end().map(|()| value)
    };
    let first = attempt(true);
    first.or_else(|error| attempt(false).map_err(|_| error.into_cause()))
}
