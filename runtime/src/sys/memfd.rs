//! Memory that has a descriptor and no name:
//! [memfd_create(2)](https://man7.org/linux/man-pages/man2/memfd_create.2.html).

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
    io::{self, Seek, Write},
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    ptr,
    sync::atomic::{AtomicBool, Ordering},
};

/// Memory with a descriptor. It grows only through this type: if a limit on the size of files
/// ([RLIMIT_FSIZE](https://man7.org/linux/man-pages/man2/getrlimit.2.html)) forbids that, the call
/// fails with `EFBIG`, and the process gets no signal.
#[derive(Debug)]
pub(crate) struct Memory(File);

impl Memory {
    /// Sets the length in bytes. New bytes are zero.
    pub(crate) fn set_len(&self, length: u64) -> io::Result<()> {
        without_signal(|| self.0.set_len(length))
    }
}

impl Memory {
    /// Begins to write from the first byte on. The old bytes stay until they are written over, and
    /// so does the memory that they take.
    pub(crate) fn rewind(&mut self) -> io::Result<()> {
        self.0.rewind()
    }

    /// Removes what follows the last byte that was written. Returns the length.
    pub(crate) fn cut(&mut self) -> io::Result<u64> {
        let length = self.0.stream_position()?;
        self.set_len(length)?;
        Ok(length)
    }

    /// Returns the length in bytes.
    pub(crate) fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
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

/// Creates empty memory, closed on exec.
pub(crate) fn create() -> io::Result<Memory> {
    create_with(MFdFlags::empty()).map(Memory)
}

/// Creates memory of a fixed length in bytes. It is sealed: no process that receives it can take
/// away what others have mapped.
pub(crate) fn create_sealed(length: u64) -> io::Result<File> {
    let memory = Memory(create_with(MFdFlags::MFD_ALLOW_SEALING)?);
    memory.set_len(length)?;
    fcntl(&memory, FcntlArg::F_ADD_SEALS(fixed_length()))?;
    Ok(memory.into())
}

/// Creates memory that can never be executed. Kernels before 6.3 do not know that flag. They refuse
/// it, and are not asked again.
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

/// Reads some bytes. Returns how many; zero is the end.
pub(crate) fn read_into(file: &File, room: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    loop {
        // SAFETY: the room is ours to write to, and has the length that is passed.
        let read = unsafe { libc::read(file.as_raw_fd(), room.as_mut_ptr().cast(), room.len()) };
        match Errno::result(read) {
            Err(Errno::EINTR) => {}
            result => return Ok(result?.cast_unsigned()),
        }
    }
}

/// Runs `act`, which may make a file longer than the limit allows. The kernel then not only fails
/// the call, but also sends SIGXFSZ to this thread. The signal is blocked meanwhile and then
/// removed, unless one was already pending before.
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
    // SAFETY: the set is a local variable, valid to write to.
    if unsafe { libc::sigpending(pending.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: the set was zeroed, and the call has filled it in. `sigset_t` is a plain C struct,
    // and any bytes are a valid value of it.
    let pending = unsafe { pending.assume_init() };
    // SAFETY: the set is valid, and the number is that of a signal.
    let is_member = unsafe { libc::sigismember(&raw const pending, signal as libc::c_int) };
    is_member == 1
}

/// Removes a blocked signal that is pending. Does not wait for one.
fn take_pending(signal: &SigSet) {
    let at_once = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let set: *const libc::sigset_t = signal.as_ref();
    // SAFETY: the set and the time are valid. The null pointer says that nothing is to be written.
    // If no such signal is pending, the call returns at once, which does no harm.
    unsafe { libc::sigtimedwait(set, ptr::null_mut(), &raw const at_once) };
}

/// Fails unless a descriptor is memory: reading a pipe, or another kind of file, could block.
pub(crate) fn check(fd: &OwnedFd) -> io::Result<()> {
    seals(fd)?;
    Ok(())
}

/// Fails unless a descriptor is memory whose length cannot change. Returns the file and its length
/// in bytes.
pub(crate) fn check_sealed(fd: OwnedFd) -> io::Result<(File, u64)> {
    if !seals(&fd)?.contains(fixed_length()) {
        let what = "the memory is not sealed: its length could change";
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    let file = File::from(fd);
    // The length is read only now: before the check it could still change.
    let length = file.metadata()?.len();
    Ok((file, length))
}

/// Forbids all writing to the memory, for good. Fails with `EBUSY` while any process has it mapped
/// for writing.
pub(crate) fn forbid_writing(file: &File) -> io::Result<()> {
    fcntl(file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_WRITE))?;
    Ok(())
}

/// Whether all writing to the memory is forbidden, for good.
pub(crate) fn is_frozen(fd: impl AsFd) -> io::Result<bool> {
    Ok(seals(fd)?.contains(SealFlag::F_SEAL_WRITE))
}

fn fixed_length() -> SealFlag {
    SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW
}

/// Returns the seals. Only memory has seals: for any other file the kernel refuses the question.
/// (Files of tmpfs, which is memory too, have one seal, but never those that fix a length.)
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
