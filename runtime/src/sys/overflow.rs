//! Reports an overflow of the main thread's stack as such.
//!
//! std does this for the threads of a program whose `main` it starts. A child that is entered
//! before `main` must do it itself. A handler on a stack of its own
//! ([sigaltstack(2)](https://man7.org/linux/man-pages/man2/sigaltstack.2.html)) tells a fault
//! beside the stack from any other fault.

use nix::{
    errno::Errno,
    sys::{
        mman::{MapFlags, ProtFlags, mmap_anonymous},
        resource::{Resource, getrlimit},
        signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction},
    },
    unistd::{SysconfVar, getpid, gettid, sysconf},
};
use std::{
    ffi::CStr,
    io,
    num::NonZero,
    sync::atomic::{AtomicPtr, AtomicUsize, Ordering},
};

static GUARD_START: AtomicUsize = AtomicUsize::new(0);
static GUARD_END: AtomicUsize = AtomicUsize::new(0);
static MESSAGE: AtomicPtr<Message> = AtomicPtr::new(std::ptr::null_mut());

struct Message {
    text: String,
    /// The message before this one, which the handler may be reading. It is kept, and a leak
    /// checker finds it.
    _before: *mut Message,
}

/// Sets the message that an overflow is reported with from now on.
pub(crate) fn say(text: String) {
    let message = Message {
        text,
        _before: MESSAGE.load(Ordering::Acquire),
    };
    MESSAGE.store(Box::into_raw(Box::new(message)), Ordering::Release);
}

/// Makes an overflow of this thread's stack end the process, as std does: the message of [`say`]
/// goes to standard error, and SIGABRT ends the process.
pub(crate) fn watch() -> io::Result<()> {
    let (bottom, page) = (stack_bottom()?, page_size()?);
    // The kernel lets the stack grow down to its limit, and one frame may reach more than a page
    // past it.
    GUARD_START.store(bottom.saturating_sub(256 * page), Ordering::Relaxed);
    GUARD_END.store(bottom + page, Ordering::Relaxed);
    install_stack(page)?;
    let action = SigAction::new(
        SigHandler::SigAction(on_fault),
        SaFlags::SA_SIGINFO | SaFlags::SA_ONSTACK,
        SigSet::empty(),
    );
    for signal in [Signal::SIGSEGV, Signal::SIGBUS] {
        // SAFETY: the handler calls async-signal-safe functions only.
        unsafe { sigaction(signal, &action) }?;
    }
    Ok(())
}

fn page_size() -> io::Result<usize> {
    let size = sysconf(SysconfVar::PAGE_SIZE)?.ok_or(io::ErrorKind::Unsupported)?;
    usize::try_from(size).map_err(|_| io::ErrorKind::Unsupported.into())
}

/// Returns the lowest address that this thread's stack may reach.
pub(crate) fn stack_bottom() -> io::Result<usize> {
    // SAFETY: `pthread_attr_t` is a plain C struct, for which all zeros are a valid value.
    let mut attributes: libc::pthread_attr_t = unsafe { std::mem::zeroed() };
    // SAFETY: the call takes nothing and returns the calling thread.
    let this = unsafe { libc::pthread_self() };
    // SAFETY: the thread is alive, and `attributes` is a valid place to write to.
    let got = unsafe { libc::pthread_getattr_np(this, &raw mut attributes) };
    if got != 0 {
        return Err(io::Error::from_raw_os_error(got));
    }
    let (mut bottom, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: `attributes` has been filled in, and both results are valid places to write to.
    let got = unsafe {
        libc::pthread_attr_getstack(&raw const attributes, &raw mut bottom, &raw mut size)
    };
    // SAFETY: `attributes` has been filled in and is not used again.
    unsafe { libc::pthread_attr_destroy(&raw mut attributes) };
    if got != 0 {
        return Err(io::Error::from_raw_os_error(got));
    }
    let bottom = bottom as usize;
    if cfg!(target_env = "musl") && gettid() == getpid() {
        // musl tells how far the stack of the main thread has grown, not how far it may grow.
        let (limit, _) = getrlimit(Resource::RLIMIT_STACK)?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        return Ok(stack_top()?.checked_sub(limit).unwrap_or(bottom));
    }
    Ok(bottom)
}

/// Returns where the stack of the main thread begins. The name of the executable is at the top
/// ([getauxval(3)](https://man7.org/linux/man-pages/man3/getauxval.3.html)), with a word of zeros
/// above it.
fn stack_top() -> io::Result<usize> {
    // SAFETY: the call takes an integer and reads what the kernel gave this process.
    let name = unsafe { libc::getauxval(libc::AT_EXECFN) } as *const libc::c_char;
    if name.is_null() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    // SAFETY: the kernel has put a string there, which ends with a NUL and lives as long as the
    // process.
    let name = unsafe { CStr::from_ptr(name) }.to_bytes_with_nul();
    let end = name.as_ptr().addr() + name.len() + size_of::<u64>();
    Ok(end.next_multiple_of(page_size()?))
}

/// Gives the handlers of this thread a larger stack than std does, so that one handler can run
/// within another: the handler of an overflow aborts, and an abort has a handler too.
pub(crate) fn widen_stack() -> io::Result<()> {
    install_stack(page_size()?)
}

fn install_stack(page: usize) -> io::Result<()> {
    /// The bytes that the handlers themselves need.
    const HANDLERS: usize = 16 << 10;
    // The kernel stores the registers of the CPU there. Their size depends on the vector registers,
    // and the kernel tells it.
    // SAFETY: the call takes an integer and reads what the kernel gave this process.
    let needed = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) };
    let frame = usize::try_from(needed).unwrap_or(0).max(libc::SIGSTKSZ);
    let size = (2 * frame + HANDLERS).next_multiple_of(page);
    let length = NonZero::new(size).ok_or(io::ErrorKind::InvalidInput)?;
    // SAFETY: a new anonymous mapping touches nothing that exists.
    let memory = unsafe {
        mmap_anonymous(
            None,
            length,
            ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
            MapFlags::MAP_PRIVATE,
        )
    }?;
    let stack = libc::stack_t {
        ss_sp: memory.as_ptr(),
        ss_flags: 0,
        ss_size: size,
    };
    // SAFETY: the memory is mapped, has this size, and is never unmapped.
    Errno::result(unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) })?;
    Ok(())
}

/// Runs on the other stack, after a fault. Calls async-signal-safe functions only.
extern "C" fn on_fault(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    _context: *mut libc::c_void,
) {
    // SAFETY: the kernel calls the handler with a valid `info`, which lives until the handler
    // returns.
    let info = unsafe { &*info };
    // SAFETY: for a fault, `info` has an address. If the signal was sent, the same bytes are
    // initialised too.
    let address = unsafe { info.si_addr() } as usize;
    // The code says where a signal comes from. It is not positive if a process has sent the signal.
    let is_fault = info.si_code > 0;
    let guard = GUARD_START.load(Ordering::Relaxed)..GUARD_END.load(Ordering::Relaxed);
    if is_fault && guard.contains(&address) {
        // SAFETY: the pointer is null, or that of a message that is never freed.
        let message = unsafe { MESSAGE.load(Ordering::Acquire).as_ref() };
        let message = message.map_or("", |message| message.text.as_str());
        // SAFETY: the pointer and the length are those of a string that is never freed.
        unsafe { libc::write(libc::STDERR_FILENO, message.as_ptr().cast(), message.len()) };
        // SAFETY: `abort` takes nothing and is async-signal-safe. It ends the process, as an
        // overflow should.
        unsafe { libc::abort() };
    }
    // Any other fault: set the default action and return. The instruction then faults again, which
    // ends the process. A signal that was sent, and is no fault, must be sent again.
    // SAFETY: the default action is no handler that could do anything wrong.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    if !is_fault {
        // SAFETY: the call takes an integer, and is async-signal-safe.
        unsafe { libc::raise(signal) };
    }
}
