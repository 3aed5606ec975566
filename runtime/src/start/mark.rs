//! The mark that tells a new process two things: that it is a child, and of which copy of this
//! crate. A program may be linked with several versions.

use crate::{
    error::{Error, Result},
    sys::image,
};
use std::{any::TypeId, ffi::CStr};

/// The variable that tells a new process to look at its standard input. Its value is the [`mark`].
pub(super) const VARIABLE: &CStr = c"PROCESSION_CHILD";

/// Returns a text that distinguishes this copy of the crate from every other one in this program.
/// It is the same each time that the program runs.
///
/// The compiler gives different type ids to the crates that it links into one program, so another
/// version of this crate has others. But a copy in a preloaded library may be built from the very
/// same crate. So the mark also says whether this copy is in the executable.
pub(super) fn mark() -> Result<String> {
    struct Copy;
    fn here() {}
    let is_main = image::contains(here)
        .map_err(|source| Error::os("the executable cannot be read", source))?;
    let place = if is_main { "executable" } else { "library" };
    Ok(format!("{:?} {place}", TypeId::of::<Copy>()))
}
