//! How a child is recognised before `main`.
//!
//! The parent says so in the environment, and for which copy of this crate: a program may be linked with several versions. But an
//! environment proves nothing: what stands on the standard input must be a socket that the kernel says was made by our parent, as
//! our user. Everything else is told over that socket.

use super::child;
use crate::{
    error::{Error, Result},
    sys::{environment, exit, image, privilege, socket, stdio, wait},
    wire::{Incoming, Outgoing},
};
use nix::unistd::geteuid;
use std::{
    any::TypeId,
    ffi::CStr,
    io,
    os::{fd::AsFd, unix::process::parent_id},
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

/// A child's function: from the arguments to the value, both encoded. The value is handed on while it is there to be borrowed from.
pub(crate) type Entry = fn(&mut Incoming, &mut dyn FnMut(Outgoing<'_>)) -> Result<()>;

/// The variable by which a parent tells a new process to look at its standard input. Its value is the [`mark`].
pub(super) const VARIABLE: &CStr = c"PROCESSION_CHILD";

/// Whether the child is entered by `main` instead of before it.
static DEFERRED: AtomicBool = AtomicBool::new(false);

/// Whether this process is a child that `main` has to enter.
static WAITING: AtomicBool = AtomicBool::new(false);

/// Returns what distinguishes this copy of the crate from every other in this program, and is the same each time that it runs.
///
/// The compiler gives no two crates that it links into one program the same type ids: other versions of this one have others. A
/// copy in a preloaded library may be built of the very same crate.
pub(super) fn mark() -> Result<String> {
    struct Copy;
    let is_main = image::contains(at_load)
        .map_err(|source| Error::os("the executable cannot be read", source))?;
    let place = if is_main { "executable" } else { "library" };
    Ok(format!("{:?} {place}", TypeId::of::<Copy>()))
}

/// Called before `main`.
pub(super) fn at_load() {
    let Some(value) = environment::get_before_main(VARIABLE) else {
        return;
    };
    // Meant for another copy: it will find the variable and the standard input as they are.
    if !mark().is_ok_and(|mark| mark.as_bytes() == value) {
        return;
    }
    environment::take_before_main(VARIABLE);
    if privilege::is_secure() || !is_child() {
        return;
    }
    if DEFERRED.load(Ordering::Relaxed) {
        WAITING.store(true, Ordering::Relaxed);
    } else {
        enter(child::Entered::BeforeMain);
    }
}

/// Has the child entered by `main`, which will call [`run_deferred`]. Called by a constructor that comes before ours.
pub fn defer() {
    DEFERRED.store(true, Ordering::Relaxed);
}

/// Enters the child, if this process is one. Called first thing in `main`.
pub fn run_deferred() {
    if WAITING.swap(false, Ordering::Relaxed) {
        enter(child::Entered::InMain);
    }
}

fn is_child() -> bool {
    let stdin = io::stdin();
    let Some(peer) = socket::peer(stdin.as_fd()) else {
        return false;
    };
    if peer.uid != geteuid().as_raw() {
        return false;
    }
    if peer.pid == parent_id() {
        return true;
    }
    // Whoever made the socket is not our parent. If the other end is closed it may have been, and died before we came here:
    // then there is nothing to do, and least of all to run `main`. Otherwise the variable was a lie.
    if wait::readable(stdin.as_fd(), Some(Instant::now())).unwrap_or(false) {
        exit::now(0);
    }
    false
}

fn enter(entered: child::Entered) -> ! {
    match stdio::take_stdin() {
        Ok(socket) => child::live(socket, entered),
        // The parent sees the socket end, and that its child said nothing.
        Err(_) => exit::now(child::FAILED),
    }
}
