//! A message and its blobs as plain bytes, for a place that carries nothing else: a memory file or
//! a network stream. They are the same frames that a line carries.

#[cfg(feature = "net")]
use super::frame::HEADER;
use super::{
    inbox::{Inbox, Progress, Source, Until},
    message::{Incoming, Outgoing},
    outbox::Outbox,
};
use crate::sys::fd::OwnedFd;
use std::io::{self, Write};

/// The kind of the frame that ends the message.
const MESSAGE: u8 = 0;

/// Writes the blobs of a message, and then its bytes, to a place that takes everything.
pub(crate) fn flatten(message: &Outgoing<'_>, to: &mut impl Write) -> io::Result<()> {
    for blob in &message.blobs.waiting {
        Outbox::blob(blob.width, blob.bytes()).write_out(to)?;
    }
    Outbox::new(MESSAGE, [&message.bytes, &[]], &[]).write_out(to)
}

/// Returns how many bytes [`flatten`] writes.
#[cfg(feature = "net")]
pub(crate) fn flat_length(message: &Outgoing<'_>) -> usize {
    let blobs = message.blobs.waiting.iter();
    blobs
        .map(|blob| blob.bytes().len())
        .chain([message.bytes.len()])
        .map(|length| HEADER + length)
        .sum()
}

/// Reads back what [`flatten`] has written. The bytes may come from an attacker: only bytes that
/// are there take memory.
pub(crate) fn unflatten(source: Source<'_>, fds: Vec<OwnedFd>) -> io::Result<Incoming> {
    let mut inbox = Inbox::default();
    loop {
        match inbox.take_in(source, Until::Whole)? {
            Progress::Reached => break,
            Progress::Paused => {}
            Progress::Ended | Progress::Waiting => {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
    let mut frame = inbox.hand_over()?;
    if frame.kind != MESSAGE || frame.apart != 0 || source.peek()? {
        let what = "the parts of a message are not what they are said to be";
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    frame.fds = fds;
    Ok(Incoming::from(frame))
}

#[cfg(all(test, feature = "net"))]
mod tests {
    use super::{flat_length, flatten, unflatten};
    use crate::wire::{Outgoing, Source};
    use std::cell::Cell;

    #[test]
    fn message_comes_back_as_it_was() {
        let value = (1_u8, vec![0.5_f64; 20_000], "x".repeat(100_000));
        let mut message = Outgoing::default();
        message.put("a value", &value).unwrap();
        assert!(!message.has_nothing_large());
        let mut flat = Vec::new();
        flatten(&message, &mut flat).unwrap();
        assert_eq!(flat.len(), flat_length(&message));
        let back = |bytes: &[u8]| unflatten(Source::Bytes(&Cell::new(bytes)), Vec::new());
        let mut whole = back(&flat).unwrap();
        assert!(whole.take::<(u8, Vec<f64>, String)>().unwrap() == value);
        for cut in [0, 7, 8, 20, 40, 1000, 200_000, flat.len() - 1] {
            assert!(back(&flat[..cut]).is_err(), "{cut}");
        }
        assert!(back(&[&flat[..], &[0]].concat()).is_err());
        let mut lie = flat;
        lie[8..16].copy_from_slice(&(1_u64 << 60).to_le_bytes());
        assert!(back(&lie).is_err());
    }
}
