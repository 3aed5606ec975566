//! A message being written and one being read: bytes, and the descriptors beside them.

use super::codec;
use crate::error::{Error, ErrorKind, Result};
use serde::{Serialize, de::DeserializeOwned};
use std::os::fd::OwnedFd;

/// A message on its way out: values in order, and the descriptors that travel beside them.
#[derive(Debug, Default)]
pub struct Outgoing {
    pub(crate) bytes: Vec<u8>,
    pub(crate) fds: Vec<OwnedFd>,
}

impl Outgoing {
    /// Appends a value; `what` names it in the error.
    pub(crate) fn put<T: Serialize + ?Sized>(&mut self, what: &str, value: &T) -> Result<()> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; LENGTH]);
        let done = codec::encode_with(&mut self.bytes, &mut self.fds, value);
        let length = (self.bytes.len() - start - LENGTH) as u64;
        self.bytes[start..start + LENGTH].copy_from_slice(&length.to_le_bytes());
        done.map_err(|source| {
            Error::new(ErrorKind::Encode, format!("{what} cannot be encoded")).because(source)
        })
    }
}

/// A message that arrived.
#[derive(Debug)]
pub struct Incoming {
    bytes: Vec<u8>,
    at: usize,
    fds: Vec<Option<OwnedFd>>,
    /// What is to happen once all arguments are decoded and nothing stands between the child and its function.
    ready: Option<fn() -> Result<()>>,
}

impl Incoming {
    pub(crate) fn new(bytes: Vec<u8>, fds: Vec<OwnedFd>) -> Self {
        Self {
            bytes,
            at: 0,
            fds: fds.into_iter().map(Some).collect(),
            ready: None,
        }
    }

    pub(crate) fn when_ready(self, ready: fn() -> Result<()>) -> Self {
        Self {
            ready: Some(ready),
            ..self
        }
    }

    /// Takes the next value.
    pub(crate) fn take<T: DeserializeOwned>(&mut self) -> Result<T> {
        let bytes = Self::next(&self.bytes, &mut self.at)
            .ok_or_else(|| Error::new(ErrorKind::Decode, "a message ended before its time"))?;
        codec::decode_with(bytes, &mut self.fds).map_err(|source| {
            let what = format!(
                "a value of type `{}` cannot be decoded",
                std::any::type_name::<T>()
            );
            Error::new(ErrorKind::Decode, what).because(source)
        })
    }

    /// Says that every argument has been taken and the function comes next.
    ///
    /// # Errors
    ///
    /// When bytes are left over.
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

/// Each value is preceded by its length, so that one that reads too little or too much cannot spoil the next.
const LENGTH: usize = size_of::<u64>();
