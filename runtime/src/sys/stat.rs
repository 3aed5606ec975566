//! What `/proc/<id>/stat` says of a process:
//! [proc_pid_stat(5)](https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html).

use std::{fs, io};

/// The fields of the line that this crate uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// A letter. `Z` says that the main thread has ended, though other threads may still run.
    pub(crate) state: u8,
    pub(crate) parent: u32,
    /// In clock ticks since boot.
    pub(crate) start: u64,
}

impl Stat {
    /// Reads the line of a process. The id is the one that the mounted `/proc` shows.
    pub(crate) fn of(id: u32) -> io::Result<Self> {
        let line = fs::read(format!("/proc/{id}/stat"))?;
        Self::parse(&line).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Takes the fields from a line.
    ///
    /// The name of the process stands in parentheses. It may hold any bytes, also spaces and
    /// parentheses, and need not be UTF-8: the kernel cuts it after 15 bytes. After it there are no
    /// more parentheses, and only ASCII.
    fn parse(line: &[u8]) -> Option<Self> {
        let name_end = line.iter().rposition(|byte| *byte == b')')?;
        let rest = str::from_utf8(&line[name_end + 1..]).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        Some(Self {
            state: *fields.next()?.as_bytes().first()?,
            parent: fields.next()?.parse().ok()?,
            // The 22nd field of the line.
            start: fields.nth(17)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Stat;
    use std::process;

    const REST: &[u8] = b" S 7 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 4242 0 0\n";

    #[test]
    fn name_may_hold_anything() {
        for name in [
            &b"sh"[..],
            b"a) R 9 (b",
            b"\xd0\xbe\xd0",
            b"\xff\xfe ) (",
            b"",
        ] {
            let line = [b"12 (", name, b")", REST].concat();
            let stat = Stat::parse(&line).unwrap();
            assert_eq!((stat.state, stat.parent, stat.start), (b'S', 7, 4242));
        }
    }

    #[test]
    fn short_line_is_refused() {
        assert_eq!(Stat::parse(b""), None);
        assert_eq!(Stat::parse(b"12 (sh"), None);
        assert_eq!(Stat::parse(b"12 (sh) S 7 1"), None);
    }

    #[test]
    fn this_process_has_a_parent() {
        let stat = Stat::of(process::id()).unwrap();
        assert_eq!(stat.parent, std::os::unix::process::parent_id());
    }
}
