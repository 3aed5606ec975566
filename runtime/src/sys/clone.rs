//! Forking a child that becomes our parent's child instead of ours:
//! [clone(2)](https://man7.org/linux/man-pages/man2/clone.2.html) with `CLONE_PARENT`.
//!
//! The C library knows nothing of such a child. So this file does two things that its `fork` would
//! do:
//!
//! - The kernel writes the new thread id into the block of the main thread, where the C library
//!   keeps it. Without it, `pthread_kill`, robust mutexes and joining that thread go wrong.
//! - The child registers the list of robust mutexes again, which the kernel forgets at a fork.
//!
//! Both are at the same address as in the process that was copied. What `pthread_atfork` has
//! registered is not called.

use super::{alone::Alone, board::Number};
use nix::errno::Errno;
use std::io;

/// What a copy of this process needs to be complete. Only for a process with one thread.
#[derive(Debug)]
pub(crate) struct Cloner {
    /// The address where the C library keeps the id of the thread.
    thread_id: *mut libc::pid_t,
    robust_list: *const libc::c_void,
    robust_list_size: usize,
    /// Whether `clone3` works here. A filter may refuse it and allow `clone`.
    has_clone3: bool,
}

/// Which side of a fork this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Parent,
    Child,
}

/// `struct clone_args` in its first version, which every kernel that has the call knows.
#[repr(C, align(8))]
#[derive(Debug, Default)]
struct Arguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
}

const FLAGS: libc::c_int = libc::CLONE_PARENT
    | libc::CLONE_PARENT_SETTID
    | libc::CLONE_CHILD_SETTID
    | libc::CLONE_CHILD_CLEARTID;

impl Cloner {
    /// Finds out what a copy needs. Fails with `ENOSYS` if that cannot be found out.
    pub(crate) fn new() -> io::Result<Self> {
        let thread_id = thread_id_address().ok_or(Errno::ENOSYS)?;
        let (mut robust_list, mut robust_list_size) = (std::ptr::null(), 0_usize);
        // SAFETY: both results are valid places to write to.
        let got = Errno::result(unsafe {
            libc::syscall(
                libc::SYS_get_robust_list,
                0,
                &raw mut robust_list,
                &raw mut robust_list_size,
            )
        });
        // If the kernel does not tell the list, it cannot be registered either, and nothing is
        // lost.
        if got.is_err() {
            robust_list = std::ptr::null();
        }
        Ok(Self {
            thread_id,
            robust_list,
            robust_list_size,
            has_clone3: true,
        })
    }

    /// Forks a child of this process's parent. The kernel writes the child's id to `id` before the
    /// child begins, and before the call returns.
    pub(crate) fn fork(&mut self, id: &Number, _: &Alone) -> io::Result<Side> {
        let mut result = Errno::ENOSYS;
        if self.has_clone3 {
            match self.clone3(id) {
                Ok(side) => return Ok(side),
                Err(errno) => result = errno,
            }
        }
        if matches!(result, Errno::ENOSYS | Errno::EPERM) {
            let side = self.clone(id)?;
            self.has_clone3 = false;
            return Ok(side);
        }
        Err(result.into())
    }

    fn clone3(&self, id: &Number) -> nix::Result<Side> {
        // No exit signal is set: the kernel gives such a child the exit signal of this process.
        let arguments = Arguments {
            flags: u64::from(FLAGS.cast_unsigned()),
            child_tid: self.thread_id as u64,
            parent_tid: id.as_ptr() as u64,
            ..Arguments::default()
        };
        // SAFETY: without a stack and without `CLONE_VM` the call is a fork: the child goes on here
        // with a copy of everything. Both addresses are those of an `int`, in memory that outlives
        // the call.
        let child = Errno::result(unsafe {
            libc::syscall(
                libc::SYS_clone3,
                &raw const arguments,
                size_of::<Arguments>(),
            )
        })?;
        Ok(self.side(child))
    }

    fn clone(&self, id: &Number) -> nix::Result<Side> {
        let (flags, stack) = (libc::c_long::from(FLAGS), std::ptr::null_mut::<u8>());
        // The order of the last two arguments differs. The null pointer is the thread pointer,
        // which is not set.
        let nowhere = std::ptr::null_mut();
        let (fourth, fifth) = if cfg!(target_arch = "x86_64") {
            (self.thread_id, nowhere)
        } else {
            (nowhere, self.thread_id)
        };
        // SAFETY: as above.
        let child = Errno::result(unsafe {
            libc::syscall(libc::SYS_clone, flags, stack, id.as_ptr(), fourth, fifth)
        })?;
        Ok(self.side(child))
    }

    fn side(&self, child: libc::c_long) -> Side {
        if child != 0 {
            return Side::Parent;
        }
        if !self.robust_list.is_null() {
            // SAFETY: the list is where it was in the process that was copied, in memory of the
            // main thread's own.
            unsafe {
                libc::syscall(
                    libc::SYS_set_robust_list,
                    self.robust_list,
                    self.robust_list_size,
                )
            };
        }
        Side::Child
    }
}

/// Returns the address where the C library keeps the id of the main thread.
///
/// glibc has registered the address with the kernel. The kernel returns it, unless the kernel was
/// built without checkpoint support. musl has registered another address. Both libraries keep the
/// id in the block that `pthread_self` points to, where its value identifies it.
fn thread_id_address() -> Option<*mut libc::pid_t> {
    // SAFETY: the call takes nothing.
    let id = unsafe { libc::gettid() };
    if id <= 0 {
        return None;
    }
    let mut told: *mut libc::pid_t = std::ptr::null_mut();
    // SAFETY: the result is a valid place to write to.
    let got = unsafe { libc::prctl(libc::PR_GET_TID_ADDRESS, &raw mut told) };
    // SAFETY: the C library gave the kernel this address. It is that of an `int` that lives as long
    // as the thread.
    if got == 0 && !told.is_null() && unsafe { told.read() } == id {
        return Some(told);
    }
    search(id)
}

/// Looks for the id in the first words of the thread's block. The C library uses all of them.
fn search(id: libc::pid_t) -> Option<*mut libc::pid_t> {
    const WORDS: usize = if cfg!(target_env = "musl") { 32 } else { 256 };
    // SAFETY: the call takes nothing.
    let block = (unsafe { libc::pthread_self() }) as *mut libc::pid_t;
    let mut found = (0..WORDS)
        .map(|word| block.wrapping_add(word))
        // SAFETY: the block is longer than that. This thread, which is the only one, does not
        // change it meanwhile.
        .filter(|place| unsafe { place.read_volatile() } == id);
    match (found.next(), found.next()) {
        (Some(place), None) => Some(place),
        // musl keeps pointers before the id and small numbers after it. In a young PID namespace,
        // the id may be equal to one of those numbers.
        (Some(place), Some(_)) if cfg!(target_env = "musl") => Some(place),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::search;

    #[test]
    fn thread_block_holds_the_id_once() {
        // SAFETY: the call takes nothing.
        let id = unsafe { libc::gettid() };
        let found = search(id).expect("this thread has a block");
        // SAFETY: the place was found to be readable, and belongs to this thread.
        assert_eq!(unsafe { found.read() }, id);
        // There is no such thread.
        assert_eq!(search(libc::pid_t::MAX), None);
    }
}
