//! The contents of files: from the tar to the disk.

use std::io::BufRead;
use std::os::fd::{AsFd, BorrowedFd};

use crate::{Entry, Error, Result, Tap, TarStream, show};

/// Writes the payload of `entry` to `file`, holes left out.
///
/// # Errors
/// The tar ends in the middle; what `pwrite(2)` says.
pub fn write<R: BufRead, T: Tap>(stream: &mut TarStream<R, T>, file: impl AsFd, entry: &Entry) -> Result<()> {
    let file = file.as_fd();
    let Some(pieces) = &entry.sparse else {
        return copy(stream, file, 0, entry.payload, &entry.name);
    };
    rustix::fs::ftruncate(file, entry.size).map_err(|error| Error::at("write", &entry.name, error))?;
    pieces.iter().try_for_each(|&(offset, length)| copy(stream, file, offset, length, &entry.name))
}

fn copy<R: BufRead, T: Tap>(
    stream: &mut TarStream<R, T>,
    file: BorrowedFd<'_>,
    mut offset: u64,
    length: u64,
    name: &[u8],
) -> Result<()> {
    let end = offset + length;
    while offset < end {
        let bytes = stream.payload()?;
        let take = bytes.len().min(usize::try_from(end - offset).unwrap_or(usize::MAX));
        if take == 0 {
            return Err(Error::Truncated(show(name)));
        }
        let written = rustix::io::retry_on_intr(|| rustix::io::pwrite(file, &bytes[..take], offset))
            .map_err(|error| Error::at("write", name, error))?;
        stream.consume(written);
        offset += written as u64;
    }
    Ok(())
}
