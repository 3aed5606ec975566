//! Whether this process has one thread.

use nix::{
    fcntl::{OFlag, open},
    sys::stat::Mode,
};
use std::{
    fs::{self, File},
    io,
    marker::PhantomData,
    os::unix::fs::MetadataExt,
};

/// This process has one thread: the one that has this value. What would be undefined or harmful
/// beside another thread asks for it. It stays true as long as no code of the user's runs, which
/// could start a thread.
#[derive(Debug)]
pub(crate) struct Alone(PhantomData<*mut ()>);

impl Alone {
    /// Returns `None` if this process has more threads.
    pub(crate) fn check() -> io::Result<Option<Self>> {
        let directory = fs::metadata(THREADS)?;
        Ok((count(&directory) == 1).then_some(Self(PhantomData)))
    }
}

/// The directory of all threads is above that of this thread. (`/proc/self` is empty once the main
/// thread has ended.)
const THREADS: &str = "/proc/thread-self/..";

/// Each thread has a directory in this one, and this one has two links of its own.
fn count(directory: &fs::Metadata) -> u64 {
    directory.nlink().saturating_sub(2)
}

/// The threads of this process, for repeated checks.
#[derive(Debug)]
pub(crate) struct Threads(File);

impl Threads {
    pub(crate) fn of_this_process() -> io::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Self(open(THREADS, flags, Mode::empty())?.into()))
    }

    /// Returns `None` if this process has more threads, or if that cannot be found out.
    pub(crate) fn alone(&self) -> Option<Alone> {
        (count(&self.0.metadata().ok()?) == 1).then_some(Alone(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::{Alone, Threads};
    use std::thread;

    #[test]
    fn process_with_another_thread_is_not_alone() {
        let another = thread::spawn(thread::park);
        assert!(Alone::check().unwrap().is_none());
        assert!(Threads::of_this_process().unwrap().alone().is_none());
        another.thread().unpark();
        another.join().unwrap();
    }
}
