//! Files that must survive a power cut, and reads with a limit.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags};

use crate::{Errno, raw};

/// Replaces `directory/name` by a file with `content` and `mode`, so that after a crash either the old or the new
/// content is there in full: temporary file, `fsync`, rename, `fsync` of the directory.
///
/// # Errors
/// Any step's error; the temporary file is removed then.
pub fn write_durable(
    directory: impl AsFd,
    name: impl AsRef<OsStr>,
    content: &[u8],
    mode: u32,
) -> io::Result<()> {
    let directory = directory.as_fd();
    replace(directory, name.as_ref(), content, mode, true)?;
    rustix::fs::fsync(directory)?;
    Ok(())
}

/// Lets the disk begin with what was written in `range` of a file, for whoever will wait for it later. Promises
/// nothing.
///
/// # Errors
/// What `sync_file_range(2)` says.
pub fn begin_writeback(file: impl AsFd, range: Range<u64>) -> crate::Result<()> {
    let number = |n: u64| i64::try_from(n).or(Err(Errno::FBIG));
    let (offset, length) = (number(range.start)?, number(range.end.saturating_sub(range.start))?);
    raw::misc::sync_file_range_write(file.as_fd(), offset, length)
}

/// Like [`write_durable`] without waiting for the disk: other processes never see half a file, a power cut may
/// lose it.
///
/// # Errors
/// Any step's error; the temporary file is removed then.
pub fn write_atomic(
    directory: impl AsFd,
    name: impl AsRef<OsStr>,
    content: &[u8],
    mode: u32,
) -> io::Result<()> {
    replace(directory.as_fd(), name.as_ref(), content, mode, false)
}

fn replace(
    directory: std::os::fd::BorrowedFd<'_>,
    name: &OsStr,
    content: &[u8],
    mode: u32,
    sync: bool,
) -> io::Result<()> {
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}.tmp", rustix::thread::gettid().as_raw_nonzero()));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fd = rustix::fs::openat(directory, &temporary, flags, Mode::from_raw_mode(mode))?;
    let written = write_all(fd, content, sync)
        .and_then(|()| Ok(rustix::fs::renameat(directory, &temporary, directory, name)?));
    if written.is_err() {
        // the first error is the one to report
        let _ = rustix::fs::unlinkat(directory, &temporary, AtFlags::empty());
    }
    written
}

fn write_all(fd: OwnedFd, content: &[u8], sync: bool) -> io::Result<()> {
    let mut file = std::fs::File::from(fd);
    file.write_all(content)?;
    if sync { file.sync_data() } else { Ok(()) }
}

/// Opens a directory (`O_PATH` is not set, so it can be listed and synced).
///
/// # Errors
/// What `open(2)` says.
pub fn open_directory(path: impl AsRef<Path>) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path.as_ref(), flags, Mode::empty())?)
}

/// Reads a whole file of at most `limit` bytes.
///
/// # Errors
/// `FileTooLarge` when there is more; else what `open(2)` and `read(2)` say.
pub fn read_bounded(path: impl AsRef<Path>, limit: usize) -> io::Result<Vec<u8>> {
    read_rest(std::fs::File::open(path.as_ref())?, limit)
}

/// Reads what is left in `reader`, at most `limit` bytes.
///
/// # Errors
/// `FileTooLarge` when there is more; else what `read(2)` says.
pub fn read_rest(reader: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    reader.take(limit as u64 + 1).read_to_end(&mut content)?;
    if content.len() > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {limit} bytes")));
    }
    Ok(content)
}
