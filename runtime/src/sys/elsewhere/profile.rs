//! The coverage profile of an instrumented build, which `main` writes here.

pub(crate) fn begin() {}
