//! Text of the system, which is bytes on every Unix.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
};

/// Returns the bytes of a text.
pub(crate) fn bytes(text: &OsStr) -> &[u8] {
    text.as_bytes()
}

/// Makes a text of its bytes.
pub(crate) fn from_bytes(bytes: Vec<u8>) -> OsString {
    OsString::from_vec(bytes)
}

/// Takes the bytes out of a text.
pub(crate) fn into_bytes(text: OsString) -> Vec<u8> {
    text.into_vec()
}
