//! Tells an abort for lack of memory from any other abort.
//!
//! If an allocation fails, Rust ends the process by SIGABRT, which says nothing of the reason. A
//! handler of that signal finds the reason in one of two places:
//!
//! - The memory is limited, and `malloc` of the C library has left `ENOMEM` as the error number of
//!   the thread.
//! - If printing a backtrace has changed that number, the stack has the call of
//!   [`handle_alloc_error`](std::alloc::handle_alloc_error).
//!
//! The handler tells the parent on the line, and lets the signal end the process.

use super::room;
use nix::{
    errno::Errno,
    sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction},
};
use std::{
    alloc::{Layout, handle_alloc_error},
    io,
    os::fd::{AsRawFd, BorrowedFd},
    sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicUsize, Ordering},
};

static SOCKET: AtomicI32 = AtomicI32::new(-1);
/// The id of the process that tells its parent. A copy of it, made by a bare `fork`, has another
/// id.
static TELLER: AtomicI32 = AtomicI32::new(0);
static MESSAGE: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static LENGTH: AtomicUsize = AtomicUsize::new(0);
static HUSHED: AtomicBool = AtomicBool::new(false);

/// Sets what is sent, and where, when this process aborts after the system has refused it memory.
pub(crate) fn tell(socket: BorrowedFd<'static>, message: &'static [u8]) {
    HUSHED.store(false, Ordering::Relaxed);
    LENGTH.store(message.len(), Ordering::Relaxed);
    MESSAGE.store(message.as_ptr().cast_mut(), Ordering::Relaxed);
    // SAFETY: the call takes nothing.
    TELLER.store(unsafe { libc::getpid() }, Ordering::Relaxed);
    SOCKET.store(socket.as_raw_fd(), Ordering::Release);
}

/// Sets whether the handler sends nothing. While something else is being sent, the message would be
/// taken for a part of it.
pub(crate) fn hush(hushed: bool) {
    HUSHED.store(hushed, Ordering::Relaxed);
}

/// Clears an error number that this thread may have from an earlier call.
pub(crate) fn forget() {
    Errno::clear();
}

/// Installs the handler, unless the program has a handler of its own for SIGABRT.
pub(crate) fn watch() -> io::Result<()> {
    // SAFETY: `struct sigaction` is a plain C struct, for which all zeros are a valid value.
    let mut before: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: without a new action the call changes nothing, and `before` is a valid place to write
    // to.
    Errno::result(unsafe { libc::sigaction(libc::SIGABRT, std::ptr::null(), &raw mut before) })?;
    if before.sa_sigaction != libc::SIG_DFL {
        return Ok(());
    }
    let action = SigAction::new(
        SigHandler::SigAction(on_abort),
        // Not on another stack: the handler looks at the stack of the code that has aborted.
        SaFlags::SA_SIGINFO,
        SigSet::empty(),
    );
    // SAFETY: the handler calls async-signal-safe functions only.
    unsafe { sigaction(Signal::SIGABRT, &action) }?;
    Ok(())
}

/// Tells the parent of an abort for lack of memory. Calls async-signal-safe functions only.
extern "C" fn on_abort(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    _context: *mut libc::c_void,
) {
    // Without a limit, the number may be that of a refusal long ago, which was handled.
    let refused = Errno::last() == Errno::ENOMEM && room::is_limited() || is_in_allocation_error();
    // SAFETY: the kernel calls the handler with a valid `info`, which lives until the handler
    // returns.
    let info = unsafe { &*info };
    // SAFETY: a signal that a process has sent has the id of that process.
    let sender = unsafe { info.si_pid() };
    // SAFETY: the call takes nothing.
    let this = unsafe { libc::getpid() };
    let (socket, message) = (
        SOCKET.load(Ordering::Acquire),
        MESSAGE.load(Ordering::Relaxed),
    );
    let is_own = sender == this && this == TELLER.load(Ordering::Relaxed);
    let may_send = is_own && socket >= 0 && !HUSHED.load(Ordering::Relaxed);
    if refused && info.si_code == libc::SI_TKILL && may_send {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: the message is a static one and has this length. If the socket was closed, the
        // call fails.
        unsafe {
            libc::send(
                socket,
                message.cast(),
                LENGTH.load(Ordering::Relaxed),
                flags,
            )
        };
    }
    // SAFETY: the default action is no handler that could do anything wrong.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    // The signal is blocked in this handler, and ends the process when the handler returns.
    // SAFETY: the call takes an integer, and is async-signal-safe.
    unsafe { libc::raise(signal) };
}

/// Whether the stack of this thread has a return address in the function that Rust calls when an
/// allocation has failed.
///
/// That function never returns, so a thread that has not called it has no such address on its
/// stack.
#[inline(never)]
fn is_in_allocation_error() -> bool {
    /// The most bytes that the function has: it consists of one call.
    const LENGTH: usize = 64;
    /// How many bytes of the stack are searched. The frame of the signal is the largest on the way.
    const DEPTH: usize = 32 << 10;
    let function = handle_alloc_error as fn(Layout) -> ! as usize;
    let mut words = [0_usize; 128];
    let here = (&raw const words).addr();
    // SAFETY: the call takes nothing.
    let this = unsafe { libc::getpid() };
    for offset in (0..DEPTH).step_by(size_of_val(&words)) {
        let to = libc::iovec {
            iov_base: words.as_mut_ptr().cast(),
            iov_len: size_of_val(&words),
        };
        let from = libc::iovec {
            iov_base: std::ptr::without_provenance_mut(here + size_of_val(&words) + offset),
            iov_len: size_of_val(&words),
        };
        // SAFETY: the first buffer is a valid place to write to. The kernel reads what the second
        // names, and stops where nothing is mapped.
        let read = unsafe { libc::process_vm_readv(this, &raw const to, 1, &raw const from, 1, 0) };
        let Ok(read) = usize::try_from(read) else {
            return false;
        };
        let read = &words[..read / size_of::<usize>()];
        if read
            .iter()
            .any(|word| (function..function + LENGTH).contains(word))
        {
            return true;
        }
        if read.len() < words.len() {
            return false;
        }
    }
    false
}
