//! A message to the person at the terminal, from code that must not block.

use super::signal;
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd::write,
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

/// The longest text that a pipe with any free room takes without blocking: `PIPE_BUF`.
const LONGEST: usize = 4096;

/// Writes a text to standard error if that does not block. Cuts it after [`LONGEST`] bytes. Uses no
/// lock and no buffer of std's.
pub(crate) fn say(text: &str) {
    say_to(io::stderr().as_fd(), text);
}

fn say_to(place: BorrowedFd<'_>, text: &str) {
    let text = &text[..boundary(text, LONGEST)];
    let mut polled = [PollFd::new(place, PollFlags::POLLOUT)];
    let polled_at_all = poll(&mut polled, PollTimeout::ZERO);
    if polled_at_all != Ok(1) || polled[0].revents() != Some(PollFlags::POLLOUT) {
        return;
    }
    // A background process that writes to a terminal may be stopped by SIGTTOU, unless it blocks
    // that signal.
    let mask = signal::mask();
    if let Ok(mask) = mask {
        let _ = signal::set_mask(mask | 1 << (libc::SIGTTOU - 1));
    }
    // If the write fails, nobody is left to tell.
    let _ = write(place, text.as_bytes());
    if let Ok(mask) = mask {
        let _ = signal::set_mask(mask);
    }
}

/// Returns the last place up to `index` where the text can be cut.
fn boundary(text: &str, index: usize) -> usize {
    let mut places = (0..=index.min(text.len())).rev();
    places
        .find(|place| text.is_char_boundary(*place))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, say_to};
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    use std::{
        io::{self, Read, Write},
        os::fd::AsFd,
    };

    #[test]
    fn nobody_is_waited_for_to_read_it() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        // The last of the bytes would be the first half of a character, so the text is cut before
        // it.
        say_to(writer.as_fd(), &format!("a{}", "ä".repeat(LONGEST)));
        let mut said = vec![0; LONGEST];
        let count = reader.read(&mut said).unwrap();
        assert_eq!(str::from_utf8(&said[..count]).unwrap().len(), LONGEST - 1);

        fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        while writer.write(&[0; LONGEST]).is_ok() {}
        fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
        say_to(writer.as_fd(), "full");
        drop(reader);
        say_to(writer.as_fd(), "nobody");
        say_to(io::pipe().unwrap().0.as_fd(), "not for writing");
    }
}
