//! The byte format: `MessagePack` with field names, which carries every serde attribute.

use super::fd::Passage;
use serde::{Serialize, de::DeserializeOwned};
use std::{error, os::fd::OwnedFd};

type Cause = Box<dyn error::Error + Send + Sync>;

/// Appends `value` to `bytes`, and the descriptors in it to `fds`.
pub(super) fn encode_with<T: Serialize + ?Sized>(
    bytes: &mut Vec<u8>,
    fds: &mut Vec<OwnedFd>,
    value: &T,
) -> Result<(), Cause> {
    let passage = Passage::outward(fds);
    let done = value.serialize(&mut rmp_serde::Serializer::new(bytes).with_struct_map());
    drop(passage);
    Ok(done?)
}

/// Reads a value from exactly `bytes`; the descriptors it names are taken from `fds`.
pub(super) fn decode_with<T: DeserializeOwned>(
    bytes: &[u8],
    fds: &mut Vec<Option<OwnedFd>>,
) -> Result<T, Cause> {
    let passage = Passage::inward(fds);
    let value = rmp_serde::from_slice(bytes);
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
