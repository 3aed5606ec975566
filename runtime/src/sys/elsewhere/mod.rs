//! The system layer of every system that this crate does not support. The floors above find here
//! the names of the real layer, so they are the same on all systems.
//!
//! Nothing can be made here. Whatever makes something fails with
//! [`Unsupported`](io::ErrorKind::Unsupported), and the type of what it would make has no values.
//! So a function that takes such a value need not say what it does. (That there are no values is
//! private to each type. Otherwise the compiler would find code of the floors above unreachable.)
//!
//! Support for another system begins with a copy of this folder.

#![allow(
    unsafe_code,
    reason = "some files are those of the real layer, where all unsafe code is"
)]
#![allow(
    clippy::unused_self,
    reason = "the signatures are those of the real layer"
)]

use std::io;

pub(crate) mod abort;
pub(crate) mod alone;
#[cfg(any(feature = "channel", feature = "sync"))]
pub(crate) mod bell;
pub(crate) mod board;
pub(crate) mod clone;
pub(crate) mod ctor;
pub(crate) mod deadline;
#[cfg(all(feature = "net", unix))]
pub(crate) mod endpoint;
pub(crate) mod environment;
pub(crate) mod errno;
pub(crate) mod exit;
pub(crate) mod family;
#[cfg_attr(unix, path = "../fd.rs")]
pub(crate) mod fd;
pub(crate) mod fork;
#[cfg(feature = "__shared")]
pub(crate) mod futex;
#[cfg(feature = "sync")]
pub(crate) mod gate;
#[cfg(feature = "sync")]
#[path = "../guarded.rs"]
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
#[path = "../per_process.rs"]
pub(crate) mod per_process;
pub(crate) mod pipe;
#[cfg(feature = "__shared")]
#[path = "../plain.rs"]
pub(crate) mod plain;
#[path = "../pod.rs"]
pub(crate) mod pod;
pub(crate) mod privilege;
pub(crate) mod profile;
pub(crate) mod random;
#[cfg_attr(unix, path = "../raw.rs")]
pub(crate) mod raw;
#[cfg(feature = "channel")]
pub(crate) mod readiness;
#[cfg(feature = "__shared")]
pub(crate) mod robust;
pub(crate) mod room;
#[path = "../segment.rs"]
pub(crate) mod segment;
pub(crate) mod sentinel;
pub(crate) mod signal;
pub(crate) mod socket;
pub(crate) mod standing;
pub(crate) mod stdio;
#[cfg(any(feature = "channel", feature = "sync"))]
#[path = "../step.rs"]
pub(crate) mod step;
pub(crate) mod table;
#[cfg_attr(unix, path = "../text.rs")]
pub(crate) mod text;
pub(crate) mod user;
pub(crate) mod wait;
pub(crate) mod watch;

/// Whether processes can be started on this system.
pub(crate) const IS_SUPPORTED: bool = false;

fn unsupported<T>() -> io::Result<T> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "procession supports Linux on x86-64 and aarch64 only",
    ))
}
