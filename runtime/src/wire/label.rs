//! What shared memory is said to hold when it travels.

use crate::sys::robust;
use serde::{Deserialize, Serialize, de};
use std::{any, borrow::Cow};

/// Goes with the descriptors of a handle, so that another build, or another C library, does not take them for what they are not.
///
/// It is no proof: that the memory is long enough, and cannot become shorter, is seen from the memory.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Label<'a> {
    /// The name of the handle's type.
    handle: Cow<'a, str>,
    /// The form of the memory; raised whenever that changes.
    version: u16,
    /// The C library, whose mutexes are of a form of its own.
    library: Cow<'a, str>,
    /// The size and the alignment of the value.
    size: u64,
    align: u64,
}

const VERSION: u16 = 1;

impl Label<'static> {
    /// The label of a handle of this name, to a value of this type.
    pub(crate) fn of<T>(handle: &'static str) -> Self {
        Self {
            handle: handle.into(),
            version: VERSION,
            library: robust::LIBRARY.into(),
            size: size_of::<T>() as u64,
            align: align_of::<T>() as u64,
        }
    }
}

impl Label<'_> {
    /// Makes sure that it is the same as ours.
    pub(crate) fn check<T, E: de::Error>(&self, handle: &'static str) -> Result<(), E> {
        let ours = Label::of::<T>(handle);
        if self.handle != ours.handle {
            let Self { handle: theirs, .. } = self;
            return Err(E::custom(format_args!(
                "a `{theirs}` came where a `{handle}` was expected"
            )));
        }
        if (self.version, &self.library) != (ours.version, &ours.library) {
            let Self {
                version, library, ..
            } = self;
            return Err(E::custom(format_args!(
                "the `{handle}` is of another build: form {version} with {library}, and not form {VERSION} with {}",
                ours.library
            )));
        }
        if (self.size, self.align) != (ours.size, ours.align) {
            return Err(E::custom(format_args!(
                "the `{handle}` holds {} bytes aligned to {}, which is no `{}`",
                self.size,
                self.align,
                any::type_name::<T>()
            )));
        }
        Ok(())
    }
}
