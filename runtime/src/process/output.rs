//! What a child writes to its standard streams.

use crate::sys::{
    fd::{AsFd, BorrowedFd},
    wait::{self, For},
};
use std::{
    io::{self, Read},
    process::{ChildStderr, ChildStdout},
};

/// How many bytes are read at once: what a pipe holds by default.
const CHUNK: usize = 64 << 10;

/// Where what was read goes.
pub(crate) trait Keep: Default {
    fn push(&mut self, bytes: &[u8]);
}

impl Keep for Vec<u8> {
    fn push(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// One stream of a child, which is read as it has something.
pub(crate) struct Stream<R, K> {
    /// `None` after the end of the stream.
    pipe: Option<R>,
    pub(crate) kept: K,
}

impl<R: Read + AsFd, K: Keep> Stream<R, K> {
    pub(crate) fn new(pipe: Option<R>) -> Self {
        Self {
            pipe,
            kept: K::default(),
        }
    }

    /// Returns the descriptor to wait for, or `None` after the end of the stream.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Reads once from a pipe that is ready. Returns how many bytes it has read. An error is the
    /// end of the stream too.
    pub(crate) fn read(&mut self) -> io::Result<usize> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(0);
        };
        let mut chunk = vec![0; CHUNK];
        match pipe.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Ok(length) if length > 0 => {
                self.kept.push(&chunk[..length]);
                Ok(length)
            }
            end => {
                self.pipe = None;
                end
            }
        }
    }
}

/// Reads both streams to their ends, each as it has something. So a process that fills the one pipe
/// does not wait for a reader of the other.
pub(super) fn read_to_ends(
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let (mut stdout, mut stderr) = (Stream::new(stdout), Stream::new(stderr));
    loop {
        let (out, err) = (stdout.fd(), stderr.fd());
        let fds = [out, err].into_iter().flatten();
        let fds: Vec<_> = fds.map(|fd| (fd, For::Reading)).collect();
        if fds.is_empty() {
            return Ok((stdout.kept, stderr.kept));
        }
        let mut ready = wait::until_ready(&fds, None)?.into_iter();
        let has_stdout = out.is_some() && ready.next() == Some(true);
        let has_stderr = err.is_some() && ready.next() == Some(true);
        if has_stdout {
            stdout.read()?;
        }
        if has_stderr {
            stderr.read()?;
        }
    }
}
