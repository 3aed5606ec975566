//! The messages on the line between a parent and its child. Both sides use these types.

pub(super) mod birth;
pub(super) mod failure;
pub(super) mod heritage;
pub(super) mod panic;
pub(super) mod reply;
pub(super) mod request;
