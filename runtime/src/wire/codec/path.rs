//! Paths that are not UTF-8. Serde refuses them, so they have an encoding of their own wherever the
//! type is visible.

use super::probe;
use crate::sys::{pod, text};
use serde::de::Visitor;
use std::{
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
};

/// Returns the bytes of a path that is not UTF-8, if `value` is such a path, an owner of one, or a
/// reference to either.
pub(super) fn bytes_of<T: ?Sized>(value: &T) -> Option<&[u8]> {
    let path = of(value)?;
    path.to_str()
        .is_none()
        .then(|| text::bytes(path.as_os_str()))
}

fn of<T: ?Sized>(value: &T) -> Option<&Path> {
    macro_rules! owners {
        ($($owner:ty,)*) => {
            $(if let Some(owner) = pod::seen::<T, $owner>(value) {
                return Some(owner.as_ref());
            })*
        };
    }
    owners! {
        PathBuf,
        Path,
        Box<Path>,
        Arc<Path>,
        Rc<Path>,
    }
    if let Some(path) = pod::seen_cow::<T, Path>(value) {
        return Some(path);
    }
    macro_rules! pointers {
        ($($pointer:ty,)*) => {
            $(if let Some(pointer) = pod::seen::<T, $pointer>(value) {
                return Some(pointer.as_path());
            })*
        };
    }
    pointers! {
        Box<PathBuf>,
        Arc<PathBuf>,
        Rc<PathBuf>,
    }
    None
}

/// Makes a path of the bytes, if this is the visitor of a `PathBuf`. Gives back the bytes and the
/// visitor otherwise.
pub(super) fn visit<'de, V: Visitor<'de>>(
    bytes: Vec<u8>,
    visitor: V,
) -> Result<V::Value, (Vec<u8>, V)> {
    if probe::visitor_of::<PathBuf>() != Some(typeid::of::<V>()) {
        return Err((bytes, visitor));
    }
    let path = PathBuf::from(text::from_bytes(bytes));
    pod::same(path).map_err(|path| (text::into_bytes(path.into_os_string()), visitor))
}
