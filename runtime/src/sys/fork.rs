//! Copying this process: [fork(2)](https://man7.org/linux/man-pages/man2/fork.2.html).

use nix::{
    errno::Errno,
    fcntl::{OFlag, open},
    sys::stat::Mode,
};
use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
};

/// Which side of a fork this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copied {
    /// The process that was copied. It has the id of the copy.
    Parent(u32),
    Child,
}

/// Copies this process if it has exactly one thread. Returns `None` if it has more.
///
/// The output buffers of C are written first, so that the copy does not write them again.
pub(crate) fn fork() -> io::Result<Option<Copied>> {
    if threads()? != 1 {
        return Ok(None);
    }
    flush();
    // SAFETY: this is the only thread. So no other thread holds a lock or is in the middle of a
    // change, which would stay like that in the copy for ever.
    match Errno::result(unsafe { libc::fork() })? {
        0 => Ok(Some(Copied::Child)),
        id => Ok(Some(Copied::Parent(id.cast_unsigned()))),
    }
}

/// Writes the output buffers of C.
pub(crate) fn flush() {
    // SAFETY: a null pointer stands for every open stream.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}

/// The directory of all threads is above that of this thread. (`/proc/self` is empty once the main
/// thread has ended.)
const THREADS: &str = "/proc/thread-self/..";

/// Returns how many threads this process has.
fn threads() -> io::Result<u64> {
    Ok(count(&fs::metadata(THREADS)?))
}

/// Each thread has a directory in this one, and this one has two links of its own.
fn count(directory: &fs::Metadata) -> u64 {
    directory.nlink().saturating_sub(2)
}

/// The threads of this process, for repeated counting.
#[derive(Debug)]
pub(crate) struct Threads(File);

impl Threads {
    pub(crate) fn of_this_process() -> io::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Self(open(THREADS, flags, Mode::empty())?.into()))
    }

    /// Returns how many threads there are, or `None` if that cannot be found out.
    pub(crate) fn count(&self) -> Option<u64> {
        Some(count(&self.0.metadata().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::threads;
    use std::thread;

    #[test]
    fn threads_are_counted() {
        let before = threads().unwrap();
        let another = thread::spawn(thread::park);
        assert!(threads().unwrap() > before.saturating_sub(1));
        assert!(threads().unwrap() >= 2);
        another.thread().unpark();
        another.join().unwrap();
    }
}
