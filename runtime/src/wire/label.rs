//! Labels that say what sent shared memory holds.

use super::as_tuple;
use crate::sys::robust;
use serde::de;
use std::{any, borrow::Cow};

/// The label that is sent with the descriptors of a handle, so that another build, or a program
/// with another C library, does not misread the memory.
///
/// It proves nothing: whether the memory is long enough and cannot shrink is checked on the memory
/// itself.
#[derive(Debug)]
pub(crate) struct Label<'a> {
    /// The name of the handle's type.
    handle: Cow<'a, str>,
    /// The version of the memory layout. It is raised whenever the layout changes.
    version: u16,
    /// The C library. Each has its own layout of mutexes.
    library: Cow<'a, str>,
    /// The size and the alignment of the value, in bytes.
    size: u64,
    align: u64,
}

as_tuple!(Label<'a> { handle, version, library, size, align });

const VERSION: u16 = 1;

impl Label<'static> {
    /// Returns the label of a handle of this name, to a value of type `T`.
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
    /// Checks that the label is the one that this process would send.
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
