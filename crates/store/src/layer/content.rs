//! The contents of files: from the tar to the disk.

use std::io::BufRead;
use std::os::fd::OwnedFd;

use crate::error::Context;
use crate::tarball::{Entry, Tap, TarStream, show};
use crate::{Error, Result};

/// Writes the payload of `entry` to `file`.
pub(super) fn write<R: BufRead, T: Tap>(
    stream: &mut TarStream<R, T>,
    file: &OwnedFd,
    entry: &Entry,
) -> Result<()> {
    let Some(pieces) = &entry.sparse else {
        return copy(stream, file, 0, entry.payload, &entry.name);
    };
    rustix::fs::ftruncate(file, entry.size).map_err(|error| failed(&entry.name, error))?;
    pieces.iter().try_for_each(|&(offset, length)| copy(stream, file, offset, length, &entry.name))
}

fn copy<R: BufRead, T: Tap>(
    stream: &mut TarStream<R, T>,
    file: &OwnedFd,
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
            .context(&format!("write {:?}", show(name)))?;
        stream.consume(written);
        offset += written as u64;
    }
    Ok(())
}

fn failed(name: &[u8], error: rustix::io::Errno) -> Error {
    Error::io(format!("write {:?}", show(name)), error)
}
