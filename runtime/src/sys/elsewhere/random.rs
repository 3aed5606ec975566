//! Randomness from the kernel: the device that every Unix has.

use super::unsupported;
use std::{
    fs::File,
    io::{self, Read},
};

/// Fills `bytes` with random bytes that are fit for keys.
pub(crate) fn fill(bytes: &mut [u8]) -> io::Result<()> {
    if !cfg!(unix) {
        return unsupported();
    }
    File::open("/dev/urandom")?.read_exact(bytes)
}
