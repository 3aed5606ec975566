//! Signals of this process and thread.

pub(crate) use libc::{SIGCONT, SIGINT, SIGKILL, SIGSTOP, SIGTERM, SIGXCPU};

/// The signals that end a process.
#[allow(unreachable_pub, reason = "they are for death tests")]
pub mod numbers {
    pub use libc::{
        SIGABRT, SIGALRM, SIGBUS, SIGFPE, SIGHUP, SIGILL, SIGINT, SIGKILL, SIGPIPE, SIGQUIT,
        SIGSEGV, SIGSYS, SIGTERM, SIGTRAP, SIGUSR1, SIGUSR2, SIGXCPU, SIGXFSZ,
    };
}
use nix::{
    errno::Errno,
    sys::{
        signal::{
            SaFlags, SigAction, SigEvent, SigHandler, SigSet, SigevNotify, Signal, sigaction,
            signal,
        },
        timer::{Expiration, Timer, TimerSetTimeFlags},
    },
    time::ClockId,
};
use std::{io, os::unix::process::ExitStatusExt, process::ExitStatus, time::Duration};

/// The signals a thread blocks, one bit each: bit 0 is signal 1.
pub(crate) type Mask = u64;

const SIGNALS: std::ops::RangeInclusive<libc::c_int> = 1..=64;

/// Returns which signals this thread blocks.
pub(crate) fn mask() -> io::Result<Mask> {
    let set = exchange(libc::SIG_BLOCK, None)?;
    Ok(SIGNALS
        .filter(|signal| is_member(&set, *signal))
        .fold(0, |mask, signal| mask | 1 << (signal - 1)))
}

/// Makes this thread block exactly these signals.
pub(crate) fn set_mask(mask: Mask) -> io::Result<()> {
    let mut set = empty();
    for signal in SIGNALS.filter(|signal| mask & (1 << (signal - 1)) != 0) {
        // SAFETY: the set has been initialised. A signal that may not be in it is refused, which is
        // not undefined behaviour.
        unsafe { libc::sigaddset(&raw mut set, signal) };
    }
    exchange(libc::SIG_SETMASK, Some(&set)).map(drop)
}

fn empty() -> libc::sigset_t {
    // SAFETY: `sigset_t` is a plain C struct, for which all zeros are a valid value, the empty set.
    unsafe { std::mem::zeroed() }
}

fn is_member(set: &libc::sigset_t, signal: libc::c_int) -> bool {
    // SAFETY: the set has been filled in by the kernel.
    (unsafe { libc::sigismember(set, signal) }) == 1
}

fn exchange(how: libc::c_int, set: Option<&libc::sigset_t>) -> io::Result<libc::sigset_t> {
    let mut before = empty();
    let set = set.map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: `set` is null or a valid set, and `before` is a valid place to write to.
    match unsafe { libc::pthread_sigmask(how, set, &raw mut before) } {
        0 => Ok(before),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// Ignores SIGPIPE, as std does before `main`: writing to a closed pipe then fails, and does not
/// end the process.
pub(crate) fn ignore_broken_pipes() -> io::Result<()> {
    // SAFETY: ignoring a signal installs no handler that could do anything wrong.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) }?;
    Ok(())
}

/// Returns the signals that a program may use. The C library keeps a few for itself, and changes
/// their actions as it needs.
pub(crate) fn for_programs() -> Mask {
    let ours = SIGNALS.filter(|signal| *signal <= libc::SIGSYS || *signal >= libc::SIGRTMIN());
    ours.fold(0, |mask, signal| mask | 1 << (signal - 1))
}

/// Changes the ignored signals from `before` to `ignored`. Signals that are in both, or in neither,
/// are left alone. A signal that is no longer ignored gets its default action.
pub(crate) fn change_ignored(before: Mask, ignored: Mask) -> io::Result<()> {
    for number in SIGNALS.filter(|signal| (before ^ ignored) & (1 << (signal - 1)) != 0) {
        let action = if ignored & (1 << (number - 1)) == 0 {
            libc::SIG_DFL
        } else {
            libc::SIG_IGN
        };
        // SAFETY: neither action is a handler that could do anything wrong.
        if unsafe { libc::signal(number, action) } == libc::SIG_ERR {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Returns the mask without the signals that ask a process to end: SIGTERM and SIGINT.
pub(crate) fn without_requests_to_end(mask: Mask) -> Mask {
    mask & !(1 << (SIGTERM - 1) | 1 << (SIGINT - 1))
}

/// Returns what this process does when the signal arrives.
fn action(number: libc::c_int) -> io::Result<libc::sigaction> {
    // SAFETY: `struct sigaction` is a plain C struct, for which all zeros are a valid value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: without a new action the call changes nothing, and `action` is a valid place to write
    // to.
    Errno::result(unsafe { libc::sigaction(number, std::ptr::null(), &raw mut action) })?;
    Ok(action)
}

/// Whether the kernel reaps the children of this process when they end. It does if SIGCHLD is
/// ignored, or if its handler has the flag `SA_NOCLDWAIT`.
pub(crate) fn discards_children() -> io::Result<bool> {
    let action = action(libc::SIGCHLD)?;
    Ok(action.sa_sigaction == libc::SIG_IGN || action.sa_flags & libc::SA_NOCLDWAIT != 0)
}

/// Makes this process go on after a signal whose default action would end it. A program that this
/// process executes gets the default action again.
#[cfg(feature = "pool")]
pub(crate) fn survive(number: libc::c_int) -> io::Result<()> {
    extern "C" fn nothing(_: libc::c_int) {}
    if action(number)?.sa_sigaction != libc::SIG_DFL {
        return Ok(());
    }
    // System calls that the signal interrupts are begun again.
    let handler = SigHandler::Handler(nothing);
    let action = SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler does nothing.
    unsafe { sigaction(Signal::try_from(number)?, &action) }?;
    Ok(())
}

/// Gives a signal its default action if it was ignored.
pub(crate) fn heed(number: libc::c_int) -> io::Result<()> {
    if action(number)?.sa_sigaction == libc::SIG_IGN {
        // SAFETY: the default action is no handler that could do anything wrong.
        if unsafe { libc::signal(number, libc::SIG_DFL) } == libc::SIG_ERR {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Kills this process if the fuse is not dropped in time, whatever the process blocks or does.
#[derive(Debug)]
pub(crate) struct Fuse {
    /// Dropping the timer deletes it.
    _timer: Timer,
}

impl Fuse {
    pub(crate) fn new(duration: Duration) -> io::Result<Self> {
        Ok(Self {
            _timer: kill_timer(duration)?,
        })
    }
}

/// Makes the kernel kill this process after `duration`, whatever the process blocks or does.
pub(crate) fn kill_after(duration: Duration) -> io::Result<()> {
    // Dropping the timer would delete it.
    std::mem::forget(kill_timer(duration)?);
    Ok(())
}

fn kill_timer(duration: Duration) -> io::Result<Timer> {
    let event = SigEvent::new(SigevNotify::SigevSignal {
        signal: Signal::SIGKILL,
        si_value: 0,
    });
    let mut timer = Timer::new(ClockId::CLOCK_MONOTONIC, event)?;
    // A timer that is set to zero is off.
    let duration = duration.max(Duration::from_nanos(1));
    timer.set(
        Expiration::OneShot(duration.into()),
        TimerSetTimeFlags::empty(),
    )?;
    Ok(timer)
}

/// Returns the signal that ended a process.
pub(crate) fn that_ended(status: ExitStatus) -> Option<i32> {
    status.signal()
}

/// Whether a process left an image of its memory when a signal ended it.
pub(crate) fn has_dumped_core(status: ExitStatus) -> bool {
    status.core_dumped()
}

/// Returns whether a signal has this number.
pub(crate) fn exists(signal: i32) -> bool {
    SIGNALS.contains(&signal)
}

/// Returns the name of a signal.
pub(crate) fn name(number: i32) -> String {
    Signal::try_from(number).map_or_else(
        |_: Errno| {
            if number >= libc::SIGRTMIN() {
                format!("SIGRTMIN+{}", number - libc::SIGRTMIN())
            } else {
                format!("signal {number}")
            }
        },
        |signal| signal.as_str().to_owned(),
    )
}
