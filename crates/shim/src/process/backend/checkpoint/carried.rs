//! What was external when the processes were written, kept beside CRIU's images.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::process::backend::io_failed;
use crate::process::container::failed;
use crate::protocol::{CHECKPOINT_MARK, ErrorReply};

/// Its name among the images.
const FILE: &str = CHECKPOINT_MARK;
/// Its format.
const VERSION: u32 = 1;
/// Longest file, bytes.
const MAX: usize = 1 << 20;

/// The keys of the standard streams: `pipe:[INODE]`, or `file[MOUNT:INODE]` for the null device; `None` = closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::process) struct Streams(pub(super) [Option<String>; 3]);

/// Everything that is handed over again.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Carried {
    version: u32,
    pub(super) streams: Streams,
    /// Places of mounts in the container.
    pub(super) mounts: Vec<PathBuf>,
    /// Whether the network namespace is the container's own.
    pub(super) network: bool,
}

impl Streams {
    /// The keys of streams of which these are our ends. Without an end standard input is the null device.
    pub(in crate::process) fn of(ends: [Option<BorrowedFd<'_>>; 3]) -> io::Result<Self> {
        let pipe = |end: Option<BorrowedFd<'_>>| -> io::Result<Option<String>> {
            end.map(|end| Ok(format!("pipe:[{}]", rustix::fs::fstat(end)?.st_ino))).transpose()
        };
        let [stdin, stdout, stderr] = ends;
        let stdin = pipe(stdin)?.map_or_else(null, Ok)?;
        Ok(Self([Some(stdin), pipe(stdout)?, pipe(stderr)?]))
    }

    /// Those of files, which CRIU must be told of when it writes.
    pub(super) fn files(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flatten().map(String::as_str).filter(|key| key.starts_with("file["))
    }
}

/// The null device as this process and its children see it.
fn null() -> io::Result<String> {
    let file = File::open("/dev/null")?;
    let number = std::os::fd::AsRawFd::as_raw_fd(&file);
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}"))?;
    let mount = info.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse::<u32>().ok());
    let mount = mount.ok_or_else(|| io::Error::other("the kernel names no mount of /dev/null"))?;
    Ok(format!("file[{mount:x}:{:x}]", rustix::fs::fstat(file.as_fd())?.st_ino))
}

impl Carried {
    pub(super) fn new(streams: Streams, mounts: Vec<PathBuf>, network: bool) -> Self {
        Self { version: VERSION, streams, mounts, network }
    }

    pub(super) fn write(&self, images: &Path) -> Result<(), ErrorReply> {
        let json = serde_json::to_vec(self).map_err(|e| failed("checkpoint", e))?;
        let write = || sys::file::write_durable(sys::file::open_directory(images)?, FILE, &json, 0o600);
        write().map_err(io_failed("write berth.json"))
    }

    pub(super) fn read(images: &Path) -> Result<Self, ErrorReply> {
        let what = "restore: read berth.json of the checkpoint";
        let bytes = sys::file::read_bounded(images.join(FILE), MAX).map_err(io_failed(what))?;
        let read: Self = serde_json::from_slice(&bytes).map_err(|e| failed(what, e))?;
        if read.version > VERSION {
            return Err(failed(what, format!("format {} is newer than {VERSION}", read.version)));
        }
        Ok(read)
    }
}
