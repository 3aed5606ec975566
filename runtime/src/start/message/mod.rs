//! What goes over the line between a parent and its child. Both sides read it.

pub(super) mod birth;
pub(super) mod failure;
pub(super) mod heritage;
pub(super) mod panic;
pub(super) mod reply;
pub(super) mod request;
pub(super) mod spilled;
