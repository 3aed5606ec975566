//! A message of a child that is too large for the socket. What the parent receives while the child
//! is there goes through the socket. The rest is left in memory, for a parent that joins later or
//! never.
//!
//! The frame has the lengths of all parts, and the descriptor of that memory. Then follow three
//! parts: a table of the blobs, the bytes of the message, and the blobs. They begin on the line.
//! Where they break off there, they continue in the memory.
//!
//! A child that gets no such memory says so in the frame. Then the parent has what it receives at
//! once, and the rest is lost: a child never stays for its message.

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

/// The flag in the kind of a frame that has a summary instead of the bytes. The parts follow on the
/// line, or are in the memory of the last descriptor.
pub(in crate::start) const SPILLED: u8 = 0x80;

/// How long the child waits for a parent that receives nothing, before it leaves the rest in
/// memory.
const PATIENCE: Duration = Duration::from_millis(20);

/// How long the child waits for such a parent if there is no memory. The rest is lost after that.
const LAST_PATIENCE: Duration = Duration::from_secs(1);

/// Whether a large message is being sent. Until it is complete, nothing else may be sent: the
/// parent would take it for a part of the message.
static SENDING: AtomicBool = AtomicBool::new(false);

pub(in crate::start) fn is_sending() -> bool {
    SENDING.load(Ordering::Relaxed)
}

/// Resets the flag, in a copy of a process that may have been sending on another line.
pub(in crate::start) fn begin() {
    SENDING.store(false, Ordering::Relaxed);
}

/// The size of two numbers of eight bytes each. An entry of the table has the width and the length
/// of a blob. The summary has the number of entries and the length of the bytes.
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

/// Returns the summary of a message and the table of its blobs.
pub(crate) fn describe(message: &Outgoing<'_>) -> ([u8; ENTRY], Vec<u8>) {
    let blobs = message.blobs.0.iter();
    let table =
        blobs.flat_map(|blob| entry([u64::from(blob.width.log2()), blob.bytes().len() as u64]));
    let count = message.blobs.0.len() as u64;
    (entry([count, message.bytes.len() as u64]), table.collect())
}

/// Sends a message. Returns after a bounded time, even if the parent receives nothing.
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
                // The parent has given up the value.
                Err(_) => return Ok(()),
            }
        }
        // The rest is lost, and nothing can report that: the parent would take any message for a
        // part of the value. So the value just ends in the middle.
        let left = file.as_mut().map(|file| file.write_all(part));
        if !part.is_empty() && left.is_none_or(|left| left.is_err()) {
            return Ok(());
        }
    }
    SENDING.store(false, Ordering::Relaxed);
    Ok(())
}

/// What has arrived of a message.
pub(crate) enum Spilled {
    Whole(Vec<u8>, Vec<Arrived>),
    /// The message ended before it was complete.
    Lost(Failure),
}

/// Where the parts of a message come from: first the line, then the memory.
struct Source<'l> {
    line: &'l Line<'l>,
    file: Option<File>,
    /// Whether the line has ended.
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

/// Receives the message that belongs to a summary, whose memory is the last of the descriptors.
///
/// The child need not have told the truth. So only memory is read, which never blocks a reader, and
/// no length takes memory before its bytes come.
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
