//! Handles as a hostile or a broken process sends them.

use nix::{
    fcntl::{FcntlArg, SealFlag, fcntl},
    sys::memfd::{MFdFlags, memfd_create},
};
use procession::Fd;
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};
use std::fs::File;

/// The seals of memory whose size is fixed.
pub(crate) const FIXED: SealFlag = SealFlag::F_SEAL_SHRINK.union(SealFlag::F_SEAL_GROW);

/// What is sent as one thing and arrives as another.
pub(crate) enum Disguise<T, U> {
    Sent(T),
    Arrived(U),
}

impl<T: Serialize, U> Serialize for Disguise<T, U> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self::Sent(sent) = self else {
            return Err(ser::Error::custom("it is sent once"));
        };
        sent.serialize(serializer)
    }
}

impl<'de, T, U: Deserialize<'de>> Deserialize<'de> for Disguise<T, U> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        U::deserialize(deserializer).map(Self::Arrived)
    }
}

/// What a handle to a `u64` in shared memory says of it: its name, the version of the layout, the C
/// library, the size and the alignment.
pub(crate) type Label = (&'static str, u16, &'static str, u64, u64);

pub(crate) fn label(handle: &'static str, version: u16) -> Label {
    let library = if cfg!(target_env = "musl") {
        "musl"
    } else {
        "gnu"
    };
    (handle, version, library, 8, 8)
}

pub(crate) fn memory(bytes: u64, seals: SealFlag) -> Fd<File> {
    let flags = MFdFlags::MFD_ALLOW_SEALING | MFdFlags::MFD_CLOEXEC;
    let file = File::from(memfd_create(c"hostile", flags).unwrap());
    file.set_len(bytes).unwrap();
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).unwrap();
    Fd(file)
}
