//! The contents of files: from the tar to the disk.

use std::io::BufRead;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};

use crate::{Entry, Error, Result, Tap, TarStream, show};

/// Writes the payload of `entry` to `file`, holes left out.
///
/// # Errors
/// The tar ends in the middle; what `pwrite(2)` says.
pub fn write<R: BufRead, T: Tap>(stream: &mut TarStream<R, T>, file: impl AsFd, entry: &Entry) -> Result<()> {
    write_with(stream, file, entry, |_range| ())
}

/// The same; `written` hears of each range of the file that was written, in order.
///
/// # Errors
/// As [`write`].
pub fn write_with<R: BufRead, T: Tap>(
    stream: &mut TarStream<R, T>,
    file: impl AsFd,
    entry: &Entry,
    mut written: impl FnMut(Range<u64>),
) -> Result<()> {
    let (file, name) = (file.as_fd(), &entry.name);
    let Some(pieces) = &entry.sparse else {
        return copy(stream, file, (0, entry.payload), name, &mut written);
    };
    rustix::fs::ftruncate(file, entry.size).map_err(|error| Error::at("write", name, error))?;
    pieces.iter().try_for_each(|piece| copy(stream, file, *piece, name, &mut written))
}

fn copy<R: BufRead, T: Tap>(
    stream: &mut TarStream<R, T>,
    file: BorrowedFd<'_>,
    (mut offset, length): (u64, u64),
    name: &[u8],
    report: &mut impl FnMut(Range<u64>),
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
        let from = offset;
        offset += written as u64;
        report(from..offset);
    }
    Ok(())
}
