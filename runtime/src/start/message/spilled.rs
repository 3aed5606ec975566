//! A message of a child that is too large for the socket: what the parent takes while the child is there goes through the socket, and
//! what it does not, because it joins later or never, is left in memory.
//!
//! A frame tells how long everything is and has the descriptor of that memory. Then come, first on the line, and from where it breaks
//! off in the memory: a table of what goes beside the message, its bytes, and what goes beside it.
//!
//! A child that gets no such memory says so in the frame. Then the parent has what it takes at once, and what it does not is lost: a
//! child never stays for it.

use super::failure::{Failure, FailureKind};
use crate::{
    sys::{
        abort,
        memfd::{self, Memory},
        segment::{Segment, Width},
    },
    wire::{Arrived, Line, Outgoing},
};
use std::{
    fs::File,
    io::{self, IoSlice, Seek, Write},
    os::fd::OwnedFd,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// Set in a kind when what the frame has are not the bytes but a summary of what follows, on the line
/// or in the last of the descriptors.
pub(in crate::start) const SPILLED: u8 = 0x80;

/// How long the parent may take nothing at all before the child leaves the rest in memory.
const PATIENCE: Duration = Duration::from_millis(20);

/// The same where there is no memory to leave it in: what is not taken by then is lost.
const LAST_PATIENCE: Duration = Duration::from_secs(1);

/// Whether a large message is being sent. Until it is complete nothing else may be sent: it would be taken for a part of it.
static SENDING: AtomicBool = AtomicBool::new(false);

pub(in crate::start) fn is_sending() -> bool {
    SENDING.load(Ordering::Relaxed)
}

/// Begins a line anew, in a copy of a process that may have been sending on another one.
pub(in crate::start) fn begin() {
    SENDING.store(false, Ordering::Relaxed);
}

/// A width and a length, or the number of such entries and the length of the bytes, each in eight bytes.
const ENTRY: usize = 16;

fn entry(fields: [u64; 2]) -> [u8; ENTRY] {
    let mut bytes = [0; ENTRY];
    for (bytes, field) in bytes.chunks_exact_mut(8).zip(fields) {
        bytes.copy_from_slice(&field.to_le_bytes());
    }
    bytes
}

fn fields(entry: &[u8]) -> Option<[u64; 2]> {
    let (first, second) = entry.split_first_chunk()?;
    let second = second.try_into().ok()?;
    Some([u64::from_le_bytes(*first), u64::from_le_bytes(second)])
}

/// The summary of a message, and the table of what goes beside it.
pub(crate) fn describe(message: &Outgoing<'_>) -> ([u8; ENTRY], Vec<u8>) {
    let blobs = message.blobs.0.iter();
    let table =
        blobs.flat_map(|blob| entry([u64::from(blob.width.log2()), blob.bytes().len() as u64]));
    let count = message.blobs.0.len() as u64;
    (entry([count, message.bytes.len() as u64]), table.collect())
}

/// Sends a message.
pub(in crate::start) fn send(
    line: &Line<'_>,
    kind: u8,
    mut message: Outgoing<'_>,
) -> io::Result<()> {
    let (summary, table) = describe(&message);
    let mut summary = summary.to_vec();
    let has_file = match memfd::create() {
        Ok(file) => {
            message.fds.push(file.into());
            true
        }
        Err(error) => {
            summary.extend(error.raw_os_error().unwrap_or(libc::EIO).to_le_bytes());
            false
        }
    };
    line.send(kind | SPILLED, &summary, &message.fds)?;
    SENDING.store(true, Ordering::Relaxed);
    abort::hush();
    let mut file = message.fds.pop().filter(|_| has_file).map(Memory::from);
    line.make_room(&message);
    let hasty = Line {
        stall: Some(if has_file { PATIENCE } else { LAST_PATIENCE }),
        ..*line
    };
    let mut parts = vec![&table[..], &message.bytes];
    for blob in &message.blobs.0 {
        parts.push(blob.bytes());
    }
    let mut listens = true;
    for mut part in parts {
        while listens && !part.is_empty() {
            match hasty.send_some(&[IoSlice::new(part)], &[]) {
                Ok(count) => part = &part[count..],
                Err(error) if error.kind() == io::ErrorKind::TimedOut => listens = false,
                // The parent has given the value up.
                Err(_) => return Ok(()),
            }
        }
        // Whatever was said now would be taken for a part of the value: the end in the middle of it has to do.
        let left = file.as_mut().map(|file| file.write_all(part));
        if !part.is_empty() && left.is_none_or(|left| left.is_err()) {
            return Ok(());
        }
    }
    SENDING.store(false, Ordering::Relaxed);
    Ok(())
}

/// What came of a message.
pub(crate) enum Spilled {
    Whole(Vec<u8>, Vec<Arrived>),
    /// It came to an end before its time.
    Lost(Failure),
}

/// Where the parts of a message are to be had.
struct Source<'l> {
    line: &'l Line<'l>,
    file: Option<File>,
    /// Whether the line has come to its end.
    ended: bool,
}

impl Source<'_> {
    fn take(&mut self, width: Width, length: u64) -> io::Result<Segment> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let mut segment = Segment::new(width, length).ok_or(io::ErrorKind::InvalidData)?;
        while !segment.is_full() {
            let count = match &self.file {
                Some(file) if self.ended => segment.read(file)?,
                _ => self.line.receive_some(&mut segment)?,
            };
            match (count, &mut self.file) {
                (0, Some(file)) if !self.ended => {
                    file.rewind()?;
                    self.ended = true;
                }
                (0, _) => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ => {}
            }
        }
        Ok(segment)
    }

    fn take_bytes(&mut self, length: u64) -> io::Result<Vec<u8>> {
        let bytes = self.take(Width::One, length)?.into_vec();
        bytes.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

/// Receives a message of which there is a summary, with the memory behind the other descriptors. The child need not have told the
/// truth: nothing is read but such memory, which never keeps a reader waiting, and a length is believed as far as bytes come.
pub(crate) fn receive(
    line: &Line<'_>,
    fds: &mut Vec<OwnedFd>,
    summary: &[u8],
) -> io::Result<Spilled> {
    let (summary, errno) = summary
        .split_at_checked(ENTRY)
        .ok_or(io::ErrorKind::InvalidData)?;
    let errno = errno.try_into().ok().map(i32::from_le_bytes);
    let file = if errno.is_some() {
        None
    } else {
        let file = fds.pop().ok_or(io::ErrorKind::InvalidData)?;
        memfd::check(&file)?;
        Some(file.into())
    };
    let source = Source {
        line,
        file,
        ended: false,
    };
    match receive_from(source, summary) {
        Ok((bytes, blobs)) => Ok(Spilled::Whole(bytes, blobs)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            let what = match errno {
                Some(_) => "nobody read it when it was sent, and no memory was to be had for it",
                None => "it came to an end in the middle",
            };
            Ok(Spilled::Lost(Failure {
                kind: FailureKind::Os,
                what: what.to_owned(),
                errno,
                cause: None,
            }))
        }
        Err(error) => Err(error),
    }
}

fn receive_from(mut source: Source<'_>, summary: &[u8]) -> io::Result<(Vec<u8>, Vec<Arrived>)> {
    let [count, length] = fields(summary).ok_or(io::ErrorKind::InvalidData)?;
    let table = count.checked_mul(ENTRY as u64);
    let table = source.take_bytes(table.ok_or(io::ErrorKind::InvalidData)?)?;
    let bytes = source.take_bytes(length)?;
    let blobs = table.chunks_exact(ENTRY).map(|entry| {
        let [width, length] = fields(entry).ok_or(io::ErrorKind::InvalidData)?;
        let width = u8::try_from(width).ok().and_then(Width::from_log2);
        source.take(width.ok_or(io::ErrorKind::InvalidData)?, length)
    });
    let blobs = blobs.collect::<io::Result<_>>()?;
    Ok((bytes, blobs))
}
