//! The system layer: the only unsafe code, and everything that is specific to Linux. On other
//! systems, the folder `elsewhere` is in its place, with the names that the floors above use.
//!
//! Each file wraps one facility of the kernel or of the C library, and knows nothing of the layers
//! above it. Descriptors are `OwnedFd` or `BorrowedFd` throughout: a bare number appears only where
//! the kernel asks for one.

#![allow(
    unsafe_code,
    reason = "this is the module that unsafe code is confined to"
)]

pub(crate) mod abort;
pub(crate) mod alone;
#[cfg(any(feature = "channel", feature = "sync"))]
pub(crate) mod bell;
pub(crate) mod board;
pub(crate) mod clone;
pub(crate) mod ctor;
pub(crate) mod deadline;
#[cfg(feature = "net")]
pub(crate) mod endpoint;
pub(crate) mod environment;
pub(crate) mod errno;
pub(crate) mod exit;
pub(crate) mod family;
pub(crate) mod fd;
pub(crate) mod fork;
#[cfg(feature = "__shared")]
pub(crate) mod futex;
#[cfg(feature = "sync")]
pub(crate) mod gate;
#[cfg(feature = "sync")]
pub(crate) mod guarded;
pub(crate) mod image;
pub(crate) mod launch;
pub(crate) mod lifeline;
pub(crate) mod limits;
#[cfg(feature = "__shared")]
pub(crate) mod mapping;
pub(crate) mod memfd;
#[cfg(feature = "shm")]
pub(crate) mod name;
pub(crate) mod notice;
pub(crate) mod overflow;
pub(crate) mod own;
pub(crate) mod pages;
#[cfg(feature = "sync")]
pub(crate) mod peer;
pub(crate) mod per_process;
pub(crate) mod pipe;
#[cfg(feature = "__shared")]
pub(crate) mod plain;
pub(crate) mod pod;
pub(crate) mod privilege;
pub(crate) mod profile;
pub(crate) mod random;
pub(crate) mod raw;
#[cfg(feature = "channel")]
pub(crate) mod readiness;
#[cfg(feature = "__shared")]
pub(crate) mod robust;
pub(crate) mod room;
pub(crate) mod segment;
pub(crate) mod sentinel;
pub(crate) mod signal;
pub(crate) mod socket;
pub(crate) mod standing;
pub(crate) mod stat;
pub(crate) mod stdio;
#[cfg(any(feature = "channel", feature = "sync"))]
pub(crate) mod step;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod user;
pub(crate) mod wait;
pub(crate) mod watch;
mod weak;

/// Whether processes can be started on this system.
pub(crate) const IS_SUPPORTED: bool = true;
