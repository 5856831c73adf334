//! Control files that stay open between reads: a read is one `pread(2)` then, and no path is walked.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::Resource;

use super::Result;
use super::dir::read_all;

/// How many files all readers of this process hold open.
static OPEN: AtomicU64 = AtomicU64::new(0);

/// The open files of one directory.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<Vec<(String, OwnedFd)>>);

impl Kept {
    /// Reads `file` through its open descriptor, or opens it with `open` first and keeps it, while there is room.
    /// The inner result is the kernel's answer to the read.
    pub(super) fn read(
        &self,
        file: &str,
        open: impl FnOnce() -> Result<OwnedFd>,
    ) -> Result<std::result::Result<String, Errno>> {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, fd)) = files.iter().find(|(name, _)| name == file) {
            return Ok(read_all(fd));
        }
        let fd = open()?;
        let text = read_all(&fd);
        if OPEN.fetch_add(1, Ordering::Relaxed) < most() {
            files.push((file.to_owned(), fd));
        } else {
            OPEN.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(text)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let files = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        OPEN.fetch_sub(files.len() as u64, Ordering::Relaxed);
    }
}

/// A quarter of what the process may have open: connections and containers need the rest.
fn most() -> u64 {
    static MOST: OnceLock<u64> = OnceLock::new();
    *MOST.get_or_init(|| rustix::process::getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) / 4)
}
