//! `exit.json`: how a container ended, on disk before anyone is told.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use crate::protocol::ExitRecord;

/// Name of the record in the container's directory.
pub const FILE: &str = "exit.json";

/// Largest record that is read, in bytes.
const MAX_RECORD: usize = 64 * 1024;

/// Write the record: a temporary file, then renamed.
///
/// It is not flushed to the disk, since that would put a disk's latency into the end of each container: the record
/// has to outlive us and the daemon, whose memory is the same page cache. A power loss ends every container anyway,
/// and the next daemon's start finds one without shim or record, and says so.
///
/// # Errors
/// The file system's.
pub fn write(data_dir: impl AsFd, record: &ExitRecord) -> io::Result<()> {
    let content = serde_json::to_vec(record)?;
    sys::file::write_atomic(data_dir, FILE, &content, 0o600)
}

/// The record in a container's directory; `None` when there is none.
///
/// # Errors
/// It can't be read, or is no record.
pub fn read(data_dir: &Path) -> io::Result<Option<ExitRecord>> {
    match sys::file::read_bounded(data_dir.join(FILE), MAX_RECORD) {
        Ok(content) => Ok(Some(serde_json::from_slice(&content)?)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Remove the record of an earlier run.
///
/// # Errors
/// The file system's.
pub fn remove(data_dir: &File) -> io::Result<()> {
    match rustix::fs::unlinkat(data_dir, FILE, rustix::fs::AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(e) => Err(e.into()),
    }
}
