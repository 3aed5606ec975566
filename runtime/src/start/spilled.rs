//! What a child leaves in memory of its own for a parent that reads it later: what goes beside the message first, then a table of
//! that, then the bytes of the message.
//!
//! A summary tells how long each is.

use crate::{
    sys::{
        memfd,
        segment::{Segment, Width},
    },
    wire::{Arrived, Outgoing},
};
use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    os::fd::OwnedFd,
};

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

/// Writes a message to a file, or on to the one that has what goes beside it; returns the file and the summary.
pub(crate) fn write(file: Option<File>, message: &Outgoing<'_>) -> io::Result<(File, [u8; ENTRY])> {
    let blobs = &message.blobs.list;
    let mut file = match file {
        Some(file) => file,
        None => memfd::create()?,
    };
    let mut table = Vec::with_capacity(blobs.len() * ENTRY);
    for blob in blobs {
        // All others have been written already, for they are in their order.
        if let Some(bytes) = blob.bytes() {
            file.write_all(bytes)?;
        }
        table.extend_from_slice(&entry([u64::from(blob.width.log2()), blob.len() as u64]));
    }
    file.write_all(&table)?;
    file.write_all(&message.bytes)?;
    Ok((
        file,
        entry([blobs.len() as u64, message.bytes.len() as u64]),
    ))
}

/// Reads a message. The child need not have told the truth: nothing is read but such memory, which never keeps a reader waiting, and
/// no more than there is.
pub(crate) fn read(file: OwnedFd, summary: &[u8]) -> io::Result<(Vec<u8>, Vec<Arrived>)> {
    memfd::check(&file)?;
    let mut file = File::from(file);
    let whole = file.metadata()?.len();
    let [count, length] = fields(summary).ok_or(io::ErrorKind::InvalidData)?;
    let table = count.checked_mul(ENTRY as u64);
    let start = table
        .and_then(|table| whole.checked_sub(table)?.checked_sub(length))
        .ok_or(io::ErrorKind::InvalidData)?;
    file.seek(io::SeekFrom::Start(start))?;
    let table = read_exactly(&file, table.unwrap_or_default())?;
    let bytes = read_exactly(&file, length)?;
    file.rewind()?;
    let mut left = start;
    let blobs = table.chunks_exact(ENTRY).map(|entry| {
        let [width, length] = fields(entry).ok_or(io::ErrorKind::InvalidData)?;
        left = left.checked_sub(length).ok_or(io::ErrorKind::InvalidData)?;
        read_blob(&file, width, length)
    });
    Ok((bytes, blobs.collect::<io::Result<_>>()?))
}

fn read_blob(file: &File, width: u64, length: u64) -> io::Result<Arrived> {
    let width = u8::try_from(width).ok().and_then(Width::from_log2);
    let length = usize::try_from(length).map_err(io::Error::other)?;
    let mut segment = width
        .and_then(|width| Segment::new(width, length))
        .ok_or(io::ErrorKind::InvalidData)?;
    while !segment.is_full() {
        if segment.read(file)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(segment)
}

fn read_exactly(file: &File, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(length).map_err(io::Error::other)?)?;
    if file.take(length).read_to_end(&mut bytes)? as u64 == length {
        Ok(bytes)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}
