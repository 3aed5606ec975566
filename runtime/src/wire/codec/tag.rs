//! The first byte of every value, which says which of serde's types it is.
//!
//! Each type has a tag of its own, so no two values have the same encoding. After a tag follows:
//!
//! | tag | what follows |
//! |---|---|
//! | `NONE`, `UNIT`, `FALSE`, `TRUE` | nothing |
//! | `SOME` | the value |
//! | `CHAR` | its code point, in 4 bytes |
//! | `NUMBER` + the code of its type | the number, in its own width |
//! | `SHORT_TEXT`, `SHORT_BYTES` | the length in 1 byte, the content |
//! | `LONG` | a kind, the length of the content in 4 bytes, the content |
//! | `BESIDE` | a kind, the place of the content among the blobs of the message in 8 bytes |
//! | `SEQ` | the number of elements in 4 bytes, the elements |
//! | `MAP` | the number of entries in 4 bytes, each key with its value |
//! | `VARIANT` | the name as a value, the content as a value |
//!
//! A struct is a map whose keys are the names of its fields, and a tuple is a sequence. A variant
//! without content is its name as a text. A newtype struct is its content alone, as in every format
//! of serde's. Numbers are little-endian, except slices of numbers, which keep the byte order of
//! the machine.

pub(super) const NONE: u8 = 0;
pub(super) const SOME: u8 = 1;
pub(super) const UNIT: u8 = 2;
pub(super) const FALSE: u8 = 3;
pub(super) const TRUE: u8 = 4;
pub(super) const CHAR: u8 = 5;
pub(super) const SHORT_TEXT: u8 = 6;
pub(super) const SHORT_BYTES: u8 = 7;
pub(super) const LONG: u8 = 8;
pub(super) const BESIDE: u8 = 9;
pub(super) const SEQ: u8 = 10;
pub(super) const MAP: u8 = 11;
pub(super) const VARIANT: u8 = 12;
pub(super) const NUMBER: u8 = 0x20;
