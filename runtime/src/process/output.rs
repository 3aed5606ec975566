//! What a child writes to its standard streams, read to the end.

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

/// Reads both streams to their ends, each as it has something. So a process that fills the one pipe
/// does not wait for a reader of the other.
pub(super) fn read_to_ends(
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let (mut stdout, mut stderr) = (Stream::new(stdout), Stream::new(stderr));
    loop {
        let fds = [stdout.fd(), stderr.fd()].into_iter().flatten();
        let fds: Vec<_> = fds.map(|fd| (fd, For::Reading)).collect();
        if fds.is_empty() {
            return Ok((stdout.bytes, stderr.bytes));
        }
        let mut ready = wait::until_ready(&fds, None)?.into_iter();
        let has_stdout = stdout.pipe.is_some() && ready.next() == Some(true);
        let has_stderr = stderr.pipe.is_some() && ready.next() == Some(true);
        if has_stdout {
            stdout.read()?;
        }
        if has_stderr {
            stderr.read()?;
        }
    }
}

struct Stream<R> {
    /// `None` after the end of the stream.
    pipe: Option<R>,
    bytes: Vec<u8>,
}

impl<R: Read + AsFd> Stream<R> {
    fn new(pipe: Option<R>) -> Self {
        Self {
            pipe,
            bytes: Vec::new(),
        }
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Reads once from a pipe that is ready.
    fn read(&mut self) -> io::Result<()> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(());
        };
        let length = self.bytes.len();
        self.bytes.resize(length + CHUNK, 0);
        let read = pipe.read(&mut self.bytes[length..]);
        self.bytes.truncate(length + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => self.pipe = None,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
