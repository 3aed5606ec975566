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
    /// The process that was copied, with the id of the copy.
    Parent(u32),
    Child,
}

/// Copies this process, if it has exactly one thread; none if it has more.
///
/// What C has buffered is written first, so that the copy does not write it again.
pub(crate) fn fork() -> io::Result<Option<Copied>> {
    if threads()? != 1 {
        return Ok(None);
    }
    flush();
    // SAFETY: with one thread there is no other that could hold a lock or be in the middle of something, which the copy would
    // find so for ever.
    match Errno::result(unsafe { libc::fork() })? {
        0 => Ok(Some(Copied::Child)),
        id => Ok(Some(Copied::Parent(id.cast_unsigned()))),
    }
}

/// Writes what C has buffered.
pub(crate) fn flush() {
    // SAFETY: null stands for every stream there is.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}

/// Above the directory of this thread is that of all. (The main thread may have ended, and `/proc/self` is empty then.)
const THREADS: &str = "/proc/thread-self/..";

/// How many threads this process has.
fn threads() -> io::Result<u64> {
    Ok(count(&fs::metadata(THREADS)?))
}

/// Each thread has a directory in this one, which has two links of its own.
fn count(directory: &fs::Metadata) -> u64 {
    directory.nlink().saturating_sub(2)
}

/// The threads of this process, to be counted again and again.
#[derive(Debug)]
pub(crate) struct Threads(File);

impl Threads {
    pub(crate) fn of_this_process() -> io::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Self(open(THREADS, flags, Mode::empty())?.into()))
    }

    /// How many there are; none where that is not to be found out.
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
