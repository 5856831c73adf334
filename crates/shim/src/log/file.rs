//! A log file that is rotated: `name`, `name.1`, `name.2`, …, from the newest to the oldest.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sys::Pid;
use sys::process::Child;
use sys::spawn::Command;

use super::compress::COMPRESS_VERB;
use super::error::LogError;

/// Who may read a log, as in Docker.
const MODE: u32 = 0o640;

/// The current file, and what is needed to rotate it.
#[derive(Debug)]
pub(super) struct RotatingFile {
    path: PathBuf,
    file: File,
    size: u64,
    max_size: u64,
    max_file: u32,
    compress: bool,
    compressing: Option<Child>,
}

/// The `n`-th rotated file's path; 0 is the current one.
pub(super) fn rotated(path: &Path, n: u32) -> PathBuf {
    if n == 0 { path.to_owned() } else { with_suffix(path, &format!(".{n}")) }
}

/// `path` with more at its end.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

impl RotatingFile {
    /// Open to append; `max_size` 0 = never rotated.
    pub(super) fn open(path: &Path, max_size: u64, max_file: u32, compress: bool) -> Result<Self, LogError> {
        let file = open(path, false).map_err(LogError::file("open log", path))?;
        let size = file.metadata().map_err(LogError::file("stat log", path))?.len();
        let path = path.to_owned();
        Ok(Self { path, file, size, max_size, max_file: max_file.max(1), compress, compressing: None })
    }

    /// Bytes in the current file.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Whether a file of this many more bytes is to be rotated.
    pub(super) fn is_full(&self, pending: usize) -> bool {
        self.max_size > 0 && self.size + pending as u64 >= self.max_size
    }

    /// The last byte, if there is any.
    pub(super) fn last_byte(&self) -> Option<u8> {
        let mut byte = [0];
        let at = self.size.checked_sub(1)?;
        self.file.read_exact_at(&mut byte, at).ok().map(|()| byte[0])
    }

    /// Shorten to a size at which the file is sound.
    pub(super) fn truncate(&mut self, size: u64) {
        if self.file.set_len(size).is_ok() {
            self.size = size;
        }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Append whole messages. When the disk is full they are lost, and the file ends where it did:
    /// the container must go on.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        match self.file.write_all(bytes) {
            Ok(()) => self.size += bytes.len() as u64,
            Err(_) => self.truncate(self.size),
        }
    }

    /// Move every file one number up and begin a new one. When that fails the current one goes on.
    pub(super) fn rotate(&mut self) {
        self.wait_for_compression();
        for n in (1..self.max_file).rev() {
            let (from, to) = (rotated(&self.path, n - 1), rotated(&self.path, n));
            let moved = rename(&from, &to);
            // both forms are never there for long: the old one of the target number must not stay behind
            let compressed = rename(&with_suffix(&from, ".gz"), &with_suffix(&to, ".gz"));
            if n > 1 && moved && !compressed {
                let _ = std::fs::remove_file(with_suffix(&to, ".gz"));
            }
            if compressed && !moved {
                let _ = std::fs::remove_file(&to);
            }
        }
        if let Ok(file) = open(&self.path, true) {
            self.file = file;
            self.size = 0;
        }
        if self.compress && self.max_file > 1 {
            self.compressing = start_compression(&rotated(&self.path, 1)).ok();
        }
    }

    /// A child has ended: forget it if it was ours.
    pub(super) fn child_ended(&mut self, pid: Pid) {
        self.compressing.take_if(|child| child.pid == pid);
    }

    fn wait_for_compression(&mut self) {
        if let Some(child) = self.compressing.take() {
            // it fails when the event loop has reaped it already: then it has ended as well
            let _ = child.wait();
        }
    }
}

fn open(path: &Path, empty: bool) -> io::Result<File> {
    let file = OpenOptions::new().read(true).append(true).create(true).mode(MODE).open(path)?;
    if empty {
        file.set_len(0)?;
    }
    Ok(file)
}

fn rename(from: &Path, to: &Path) -> bool {
    std::fs::rename(from, to).is_ok()
}

/// Compress in a process of its own, since the shim has no threads and its container's output can't wait.
fn start_compression(path: &Path) -> io::Result<Child> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    let mut call = Command::new("/proc/self/exe", "berth-shim")?;
    call.arg(COMPRESS_VERB)?.arg(path)?;
    for target in 0..3 {
        call.map(null.as_fd(), target);
    }
    Ok(call.spawn()?)
}
