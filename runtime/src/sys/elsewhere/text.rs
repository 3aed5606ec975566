//! Text of the system, which nobody is sent here.

use std::ffi::{OsStr, OsString};

/// Returns the bytes of a text, in the form in which std keeps it.
pub(crate) fn bytes(text: &OsStr) -> &[u8] {
    text.as_encoded_bytes()
}

/// Makes a text of bytes, of which no other process has sent any.
pub(crate) fn from_bytes(bytes: Vec<u8>) -> OsString {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

/// Takes the bytes out of a text.
pub(crate) fn into_bytes(text: OsString) -> Vec<u8> {
    text.into_encoded_bytes()
}
