//! What a test changes of its own process, and safe Rust has no words for.

#![allow(unsafe_code, reason = "each is one call")]

use crate::alone::assert_alone;
use nix::{errno::Errno, libc};

/// Sets a variable. Only for a process whose other threads do not read the environment meanwhile.
pub fn variable(name: &str, value: &str) {
    assert_alone();
    // SAFETY: see above.
    unsafe { std::env::set_var(name, value) };
}

/// Makes a value of a type that has only one: a function, or a closure that captures nothing.
#[must_use]
pub fn conjure<T: Copy + 'static>() -> T {
    const { assert!(size_of::<T>() == 0, "a test must capture nothing") };
    // SAFETY: without bytes there is nothing to be wrong. A caller has shown by naming the type
    // that it has such a value, which may be copied.
    unsafe { std::mem::transmute_copy(&()) }
}

/// Has SIGHUP ignored, or not.
pub fn hangups_ignored(ignored: bool) {
    assert_alone();
    let action = if ignored {
        libc::SIG_IGN
    } else {
        libc::SIG_DFL
    };
    // SAFETY: neither action is a handler that could do anything wrong.
    unsafe { libc::signal(libc::SIGHUP, action) };
}

/// Ends this thread and no other, without unwinding it.
pub fn end_this_thread() -> ! {
    // SAFETY: the call takes an integer. What is on this stack stays there for ever, so no other
    // thread loses anything by it.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    unreachable!("a thread that has ended does not go on")
}

/// Has SIGCHLD ignored, or not: where it is, the kernel reaps.
pub fn ends_ignored(ignored: bool) {
    assert_alone();
    let action = if ignored {
        libc::SIG_IGN
    } else {
        libc::SIG_DFL
    };
    // SAFETY: neither action is a handler that could do anything wrong.
    unsafe { libc::signal(libc::SIGCHLD, action) };
}

/// Has a signal handled by a function, which must be safe to call at any moment.
pub fn handler(signal: i32, handle: extern "C" fn(i32)) {
    assert_alone();
    let handle = handle as *const () as libc::sighandler_t;
    // SAFETY: it is a function of that form, and see above.
    unsafe { libc::signal(signal, handle) };
}

/// Sets the nice value.
///
/// # Panics
///
/// When the system refuses.
pub fn nice(nice: i32) {
    assert_alone();
    // SAFETY: the call takes three integers.
    Errno::result(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) })
        .expect("it may be raised");
}
