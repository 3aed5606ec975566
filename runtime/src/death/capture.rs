//! What a child writes, read without a thread and kept within bounds.

use crate::{
    process::{Child, Keep, Stream},
    sys::{fd::AsFd, wait},
};
use std::{
    collections::VecDeque,
    io::{self, Read},
    process::{ChildStderr, ChildStdout},
    time::Instant,
};

/// How much of the beginning, and of the end, of a stream is kept.
const KEPT: usize = 512 << 10;

/// The most that is read of each stream after the end of its process. A pipe holds a mebibyte at
/// most, unless the system's administrator allows more. A descendant of the process that has the
/// pipe could write for ever.
const MOST_REMAINS: usize = 4 << 20;

/// Both streams of a child.
pub(super) struct Capture {
    stdout: Stream<ChildStdout, Kept>,
    stderr: Stream<ChildStderr, Kept>,
}

/// Why listening ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The process has ended.
    End,
    /// The deadline has passed.
    Deadline,
}

impl Capture {
    pub(super) fn new(stdout: Option<ChildStdout>, stderr: Option<ChildStderr>) -> Self {
        Self {
            stdout: Stream::new(stdout),
            stderr: Stream::new(stderr),
        }
    }

    /// Reads what a process writes until it has ended or the deadline has passed. A process that
    /// has closed its streams may still run, and a descendant may have them open after its end.
    pub(super) fn until_end<T>(
        &mut self,
        child: &Child<T>,
        deadline: Option<Instant>,
    ) -> io::Result<Heard> {
        loop {
            let (stdout, stderr) = (self.stdout.fd(), self.stderr.fd());
            let fds = [Some(child.as_fd()), stdout, stderr];
            let fds: Vec<_> = fds
                .into_iter()
                .flatten()
                .map(|fd| (fd, wait::For::Reading))
                .collect();
            let mut ready = wait::until_ready(&fds, deadline)?.into_iter();
            let has_ended = ready.next() == Some(true);
            let has_stdout = stdout.is_some() && ready.next() == Some(true);
            let has_stderr = stderr.is_some() && ready.next() == Some(true);
            if has_ended {
                return Ok(Heard::End);
            }
            // An error is the end of that stream.
            if has_stdout {
                let _ = self.stdout.read();
            }
            if has_stderr {
                let _ = self.stderr.read();
            }
            // A process that writes all the time is always ready.
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Ok(Heard::Deadline);
            }
        }
    }

    /// Reads what a process that has ended has left in the pipes. Does not block.
    pub(super) fn drain(&mut self) {
        drain(&mut self.stdout);
        drain(&mut self.stderr);
    }

    /// Returns the texts of standard output and standard error.
    pub(super) fn finish(self) -> (String, String) {
        (self.stdout.kept.text(), self.stderr.kept.text())
    }
}

/// Reads what is left in a pipe. Does not block.
fn drain(stream: &mut Stream<impl Read + AsFd, Kept>) {
    let mut left = MOST_REMAINS;
    while let Some(pipe) = stream.fd()
        && wait::readable(pipe, Some(Instant::now())).unwrap_or(false)
        && left > 0
    {
        left = left.saturating_sub(stream.read().unwrap_or(0).max(1));
    }
}

/// The beginning and the end of a stream.
#[derive(Default)]
struct Kept {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    left_out: u64,
}

impl Keep for Kept {
    fn push(&mut self, bytes: &[u8]) {
        let (head, tail) = bytes.split_at(bytes.len().min(KEPT - self.head.len()));
        self.head.extend_from_slice(head);
        self.tail.extend(tail);
        let too_much = self.tail.len().saturating_sub(KEPT);
        self.tail.drain(..too_much);
        self.left_out += too_much as u64;
    }
}

impl Kept {
    fn text(mut self) -> String {
        if self.left_out > 0 {
            let gap = format!("\n[.. {} bytes are left out ..]\n", self.left_out);
            self.head.extend_from_slice(gap.as_bytes());
        }
        self.head.extend(self.tail);
        String::from_utf8_lossy(&self.head).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, Keep, Kept};

    #[test]
    fn beginning_and_end_are_kept() {
        let mut kept = Kept::default();
        kept.push(b"first ");
        for _ in 0..5 {
            kept.push(&vec![b'x'; KEPT / 2]);
        }
        kept.push(b" last");
        let text = kept.text();
        assert!(text.starts_with("first xx") && text.ends_with("xx last"));
        let left_out = KEPT / 2 + "first ".len() + " last".len();
        assert!(text.contains(&format!("x\n[.. {left_out} bytes are left out ..]\nx")));

        let mut kept = Kept::default();
        kept.push("all \u{fffd}".as_bytes());
        assert_eq!(kept.text(), "all \u{fffd}");
    }
}
