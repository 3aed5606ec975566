//! The mark by which a new process knows that it is a child, and of which copy of this crate: a program
//! may be linked with several versions.

use crate::{
    error::{Error, Result},
    sys::image,
};
use std::{any::TypeId, ffi::CStr};

/// The variable by which a parent tells a new process to look at its standard input. Its value is
/// the [`mark`].
pub(super) const VARIABLE: &CStr = c"PROCESSION_CHILD";

/// Returns what distinguishes this copy of the crate from every other in this program, and is the
/// same each time that it runs.
///
/// The compiler gives no two crates that it links into one program the same type ids: other
/// versions of this one have others. A copy in a preloaded library may be built of the very same
/// crate.
pub(super) fn mark() -> Result<String> {
    struct Copy;
    fn here() {}
    let is_main = image::contains(here)
        .map_err(|source| Error::os("the executable cannot be read", source))?;
    let place = if is_main { "executable" } else { "library" };
    Ok(format!("{:?} {place}", TypeId::of::<Copy>()))
}
