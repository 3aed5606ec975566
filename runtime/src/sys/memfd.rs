//! Memory that has a descriptor and no name: [memfd_create(2)](https://man7.org/linux/man-pages/man2/memfd_create.2.html).

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, SealFlag, fcntl},
    sys::{
        memfd::{MFdFlags, memfd_create},
        signal::{SigSet, SigmaskHow, Signal, pthread_sigmask},
    },
};
use std::{
    fs::File,
    io::{self, Write},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    ptr,
    sync::atomic::{AtomicBool, Ordering},
};

/// Such memory, which grows here only: where a limit on the size of files
/// ([RLIMIT_FSIZE](https://man7.org/linux/man-pages/man2/getrlimit.2.html)) forbids it, that is the error `EFBIG`, and no signal.
#[derive(Debug)]
pub(crate) struct Memory(File);

impl Memory {
    /// Makes it as long as that, with zeros.
    pub(crate) fn set_len(&self, length: u64) -> io::Result<()> {
        without_signal(|| self.0.set_len(length))
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        without_signal(|| self.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Memory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Memory {
    fn from(fd: OwnedFd) -> Self {
        Self(fd.into())
    }
}

impl From<Memory> for OwnedFd {
    fn from(memory: Memory) -> Self {
        memory.0.into()
    }
}

impl From<Memory> for File {
    fn from(memory: Memory) -> Self {
        memory.0
    }
}

/// Makes an empty one, closed on exec.
pub(crate) fn create() -> io::Result<Memory> {
    create_with(MFdFlags::empty()).map(Memory)
}

/// Makes one that has this length for good: nobody who gets it can take away what others have mapped.
pub(crate) fn create_sealed(length: u64) -> io::Result<File> {
    let memory = Memory(create_with(MFdFlags::MFD_ALLOW_SEALING)?);
    memory.set_len(length)?;
    fcntl(&memory, FcntlArg::F_ADD_SEALS(fixed_length()))?;
    Ok(memory.into())
}

/// Asks for memory that cannot be executed, for good. Kernels before 6.3 do not know that, and refuse what they do not know.
fn create_with(flags: MFdFlags) -> io::Result<File> {
    static IS_KNOWN: AtomicBool = AtomicBool::new(true);
    let flags = flags | MFdFlags::MFD_CLOEXEC;
    if IS_KNOWN.load(Ordering::Relaxed) {
        let no_exec = MFdFlags::from_bits_retain(libc::MFD_NOEXEC_SEAL);
        match memfd_create(NAME, flags | no_exec) {
            Err(Errno::EINVAL) => IS_KNOWN.store(false, Ordering::Relaxed),
            made => return Ok(made?.into()),
        }
    }
    Ok(memfd_create(NAME, flags)?.into())
}

const NAME: &std::ffi::CStr = c"procession";

/// Does something that may make a file longer than it may be. The kernel then sends SIGXFSZ to this thread, besides the error: here it is
/// held back and taken away, unless one was on its way before.
fn without_signal<R>(act: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
    let mut signal = SigSet::empty();
    signal.add(Signal::SIGXFSZ);
    let mut before = SigSet::empty();
    pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&signal), Some(&mut before))?;
    let was_pending = is_pending(Signal::SIGXFSZ);
    let done = act();
    let is_too_long = |error: &io::Error| error.raw_os_error() == Some(libc::EFBIG);
    if !was_pending && done.as_ref().is_err_and(is_too_long) {
        take_pending(&signal);
    }
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?;
    done
}

fn is_pending(signal: Signal) -> bool {
    let mut pending = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: the set is ours to write to.
    if unsafe { libc::sigpending(pending.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: the call has filled the set in; and a set is a plain C struct, of which any bytes make one.
    let pending = unsafe { pending.assume_init() };
    // SAFETY: the set is valid, and the number that of a signal.
    let is_member = unsafe { libc::sigismember(&raw const pending, signal as libc::c_int) };
    is_member == 1
}

/// Takes away a blocked signal that is pending, without waiting for one.
fn take_pending(signal: &SigSet) {
    let at_once = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let set: *const libc::sigset_t = signal.as_ref();
    // SAFETY: the set and the time are valid, and nothing more is to be written. That there is no such signal is no harm.
    unsafe { libc::sigtimedwait(set, ptr::null_mut(), &raw const at_once) };
}

/// Makes sure that a descriptor is one of these, and not a file or pipe that would keep a reader waiting.
pub(crate) fn check(fd: &OwnedFd) -> io::Result<()> {
    seals(fd)?;
    Ok(())
}

/// Makes sure that a descriptor is one whose length cannot change, and returns that length.
pub(crate) fn check_sealed(fd: OwnedFd) -> io::Result<(File, u64)> {
    if !seals(&fd)?.contains(fixed_length()) {
        let what = "the memory is not sealed: its length could change";
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    let file = File::from(fd);
    // Only now, since only now it cannot change any more.
    let length = file.metadata()?.len();
    Ok((file, length))
}

/// Forbids everybody, for good, to write to it. Fails with `EBUSY` while somebody could: has it mapped so.
pub(crate) fn forbid_writing(file: &File) -> io::Result<()> {
    fcntl(file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_WRITE))?;
    Ok(())
}

/// Whether nobody can write to it, for good.
pub(crate) fn is_frozen(fd: impl AsFd) -> io::Result<bool> {
    Ok(seals(fd)?.contains(SealFlag::F_SEAL_WRITE))
}

fn fixed_length() -> SealFlag {
    SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW
}

/// Only memory has seals, and only of memory can they be asked.
fn seals(fd: impl AsFd) -> io::Result<SealFlag> {
    let seals = fcntl(fd, FcntlArg::F_GET_SEALS).map_err(|errno| match errno {
        Errno::EINVAL => {
            let what = "the descriptor is of something else than memory";
            io::Error::new(io::ErrorKind::InvalidData, what)
        }
        errno => errno.into(),
    })?;
    Ok(SealFlag::from_bits_retain(seals))
}

#[cfg(test)]
mod tests {
    use super::create;
    use nix::sys::memfd::{MFdFlags, memfd_create};

    #[test]
    fn it_cannot_be_executed_where_the_kernel_knows_that() {
        const EXEC: i32 = 0x20;
        let flag = MFdFlags::from_bits_retain(libc::MFD_NOEXEC_SEAL);
        let is_known = memfd_create(c"probe", flag).is_ok();
        let seals = super::seals(create().unwrap()).unwrap();
        assert_eq!(seals.bits() & EXEC != 0, is_known);
    }
}
