//! Outgoing and incoming messages: bytes, and the descriptors and blobs beside them.

use super::{
    blob::{Arrived, Blobs, Sink},
    codec::{self, Number},
    frame::Frame,
};
use crate::{
    error::{Error, ErrorKind, Result},
    sys::fd::OwnedFd,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{error, io};

/// A message to be sent: values in order, and beside them descriptors and blobs.
///
/// It borrows large values for `'a`, where it need not copy them.
#[derive(Debug, Default)]
pub struct Outgoing<'a> {
    pub(crate) bytes: Vec<u8>,
    pub(crate) fds: Vec<OwnedFd>,
    pub(crate) blobs: Blobs<'a>,
}

impl<'a> Outgoing<'a> {
    /// Returns an empty message. Large parts of its values are sent to `sink` while they are
    /// encoded.
    pub(crate) fn through(sink: &'a dyn Sink) -> Self {
        Self {
            blobs: Blobs::through(sink),
            ..Self::default()
        }
    }

    /// Appends a value; `what` names it in the error. If the value is large and consists of text or
    /// numbers only, it is not copied.
    pub(crate) fn put<T: Serialize + ?Sized>(&mut self, what: &str, value: &'a T) -> Result<()> {
        self.append(what, |to| {
            if codec::lend(&mut to.bytes, &mut to.blobs, value) {
                return Ok(());
            }
            codec::encode_with(&mut to.bytes, &mut to.fds, &mut to.blobs, value)
        })
    }

    /// Appends a value that may be gone when the message is sent, so it is copied; `what` names it
    /// in the error.
    pub(crate) fn put_now<T: Serialize + ?Sized>(&mut self, what: &str, value: &T) -> Result<()> {
        self.append(what, |to| {
            codec::encode_with(&mut to.bytes, &mut to.fds, &mut to.blobs, value)
        })
    }

    /// Appends an array of numbers as one value, and returns `true`. Does nothing and returns
    /// `false` if the elements are not numbers.
    pub(crate) fn put_numbers<T>(&mut self, what: &str, array: &'a [T]) -> Result<bool> {
        if Number::of::<T>().is_none() {
            return Ok(false);
        }
        self.append(what, |to| {
            codec::encode_numbers(&mut to.bytes, &mut to.blobs, array).map(drop)
        })?;
        Ok(true)
    }

    /// Whether the message has neither descriptors nor blobs.
    pub(crate) fn has_nothing_beside(&self) -> bool {
        self.fds.is_empty() && self.has_nothing_large()
    }

    /// Whether the message has no blobs.
    pub(crate) fn has_nothing_large(&self) -> bool {
        self.blobs.is_empty()
    }

    fn append(
        &mut self,
        what: &str,
        write: impl FnOnce(&mut Self) -> Result<(), Box<dyn error::Error + Send + Sync>>,
    ) -> Result<()> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; LENGTH]);
        let done = write(self);
        let length = (self.bytes.len() - start - LENGTH) as u64;
        self.bytes[start..start + LENGTH].copy_from_slice(&length.to_le_bytes());
        done.map_err(|source| {
            failed(
                ErrorKind::Encode,
                format!("{what} cannot be encoded"),
                source,
            )
        })
    }
}

/// Returns an error of this kind, or of the kind that follows from the errno if the source is a
/// system error.
fn failed(kind: ErrorKind, what: String, source: Box<dyn error::Error + Send + Sync>) -> Error {
    match source.downcast::<io::Error>() {
        Ok(refused) if refused.raw_os_error().is_some() => Error::os(what, *refused),
        Ok(source) => Error::new(kind, what).because(source),
        Err(source) => Error::new(kind, what).because(source),
    }
}

/// Makes a message of encoded bytes.
impl From<Vec<u8>> for Outgoing<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            ..Self::default()
        }
    }
}

/// A message that arrived.
#[derive(Debug)]
pub struct Incoming {
    bytes: Vec<u8>,
    at: usize,
    fds: Vec<Option<OwnedFd>>,
    blobs: Vec<Option<Arrived>>,
    /// Called when all arguments are decoded and the function comes next.
    ready: Option<fn() -> Result<()>>,
}

impl Incoming {
    pub(crate) fn new(bytes: Vec<u8>, fds: Vec<OwnedFd>) -> Self {
        Self {
            bytes,
            at: 0,
            fds: if fds.is_empty() {
                Vec::new()
            } else {
                fds.into_iter().map(Some).collect()
            },
            blobs: Vec::new(),
            ready: None,
        }
    }

    /// Adds the blobs, in the order in which they were sent.
    pub(crate) fn with_blobs(self, blobs: Vec<Arrived>) -> Self {
        Self {
            blobs: blobs.into_iter().map(Some).collect(),
            ..self
        }
    }

    pub(crate) fn when_ready(mut self, ready: fn() -> Result<()>) -> Self {
        self.ready = Some(ready);
        self
    }

    /// Returns all bytes of the message.
    #[cfg(feature = "pool")]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes the bytes of a message that was read, to use their memory again.
    #[cfg(feature = "pool")]
    pub(crate) fn take_bytes(&mut self) -> Vec<u8> {
        self.at = 0;
        std::mem::take(&mut self.bytes)
    }

    /// Takes the next value.
    pub(crate) fn take<T: DeserializeOwned>(&mut self) -> Result<T> {
        let bytes = Self::next(&self.bytes, &mut self.at)
            .ok_or_else(|| Error::new(ErrorKind::Decode, "a message ended before its time"))?;
        codec::decode_with(bytes, &mut self.fds, &mut self.blobs).map_err(|source| {
            let what = format!(
                "a value of type `{}` cannot be decoded",
                std::any::type_name::<T>()
            );
            failed(ErrorKind::Decode, what, source)
        })
    }

    #[cfg(test)]
    pub(super) fn first_blob_address(&self) -> usize {
        let first = self.blobs.first().and_then(Option::as_ref);
        first.map_or(0, Arrived::address)
    }

    /// Takes the next value as the numbers of an array, if `T` is a number.
    pub(crate) fn take_numbers<T: DeserializeOwned>(&mut self) -> Option<Result<Vec<T>>> {
        Number::of::<T>().map(|_| self.take())
    }

    /// Reports that all arguments have been taken and the function comes next.
    ///
    /// # Errors
    ///
    /// Fails if bytes are left over.
    pub fn ready(&mut self) -> Result<()> {
        if self.at != self.bytes.len() {
            return Err(Error::new(
                ErrorKind::Decode,
                "a message went on past its end",
            ));
        }
        self.ready.map_or(Ok(()), |ready| ready())
    }

    fn next<'b>(bytes: &'b [u8], at: &mut usize) -> Option<&'b [u8]> {
        let (length, rest) = bytes[*at..].split_first_chunk()?;
        let value = rest.get(..usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        *at += LENGTH + value.len();
        Some(value)
    }
}

impl From<Frame> for Incoming {
    fn from(frame: Frame) -> Self {
        Self::new(frame.bytes, frame.fds).with_blobs(frame.blobs)
    }
}

/// The size of the length that precedes each value. With it, a value that reads too little or too
/// much cannot spoil the next one.
const LENGTH: usize = size_of::<u64>();
