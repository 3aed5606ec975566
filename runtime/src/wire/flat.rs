//! A message and its blobs as plain bytes, for a line that carries nothing else.

use super::{
    blob::Arrived,
    message::{Incoming, Outgoing},
};
use crate::sys::segment::{Segment, Width};
use std::{io, os::fd::OwnedFd};

/// The size of a number: eight bytes, little-endian.
const NUMBER: usize = size_of::<u64>();

/// Returns the number of blobs, the width and the length of each, the blobs, and then the bytes of
/// the message.
pub(crate) fn flatten(message: &Outgoing<'_>) -> Vec<u8> {
    let blobs = &message.blobs.waiting;
    let beside: usize = blobs.iter().map(|blob| blob.bytes().len()).sum();
    let head = NUMBER * (1 + 2 * blobs.len());
    let mut flat = Vec::with_capacity(head + beside + message.bytes.len());
    flat.extend_from_slice(&(blobs.len() as u64).to_le_bytes());
    for blob in blobs {
        flat.extend_from_slice(&u64::from(blob.width.log2()).to_le_bytes());
        flat.extend_from_slice(&(blob.bytes().len() as u64).to_le_bytes());
    }
    for blob in blobs {
        flat.extend_from_slice(blob.bytes());
    }
    flat.extend_from_slice(&message.bytes);
    flat
}

/// Reads back what [`flatten`] returned. The bytes may come from an attacker.
pub(crate) fn unflatten(flat: &[u8], fds: Vec<OwnedFd>) -> io::Result<Incoming> {
    let mut rest = flat;
    let count = number(&mut rest)?;
    let mut shapes = Vec::new();
    for _ in 0..count {
        shapes.push((number(&mut rest)?, number(&mut rest)?));
    }
    let take = |(width, length): (u64, u64)| -> io::Result<Arrived> {
        let width = u8::try_from(width).ok().and_then(Width::from_log2);
        let length = usize::try_from(length).map_err(|_| broken())?;
        let (bytes, others) = rest.split_at_checked(length).ok_or_else(broken)?;
        rest = others;
        Segment::copied(width.ok_or_else(broken)?, bytes)
    };
    let blobs = shapes.into_iter().map(take).collect::<io::Result<_>>()?;
    Ok(Incoming::new(rest.to_vec(), fds).with_blobs(blobs))
}

fn number(rest: &mut &[u8]) -> io::Result<u64> {
    let (number, others) = rest.split_first_chunk().ok_or_else(broken)?;
    *rest = others;
    Ok(u64::from_le_bytes(*number))
}

fn broken() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the parts of a message are not what they are said to be",
    )
}

#[cfg(test)]
mod tests {
    use super::{flatten, unflatten};
    use crate::wire::Outgoing;

    #[test]
    fn message_comes_back_as_it_was() {
        let value = (1_u8, vec![0.5_f64; 20_000], "x".repeat(100_000));
        let mut message = Outgoing::default();
        message.put("a value", &value).unwrap();
        assert!(!message.has_nothing_large());
        let flat = flatten(&message);
        let mut back = unflatten(&flat, Vec::new()).unwrap();
        assert!(back.take::<(u8, Vec<f64>, String)>().unwrap() == value);
        for cut in [0, 7, 8, 20, 40, 1000, 200_000] {
            // The part may look like another message, but never longer than the part.
            let _ = unflatten(&flat[..cut], Vec::new()).map(|mut part| part.take::<u8>().is_ok());
        }
        let mut lie = flat;
        lie[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(unflatten(&lie, Vec::new()).is_err());
    }
}
