//! What can go wrong with a cgroup, named by file.

use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::Controller;

/// Result of a cgroup operation.
pub type Result<T> = std::result::Result<T, Error>;

/// A failed cgroup operation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call failed on a directory or file of a hierarchy.
    #[error("cgroup: cannot {action} {}: {errno}", path.display())]
    Io {
        /// What was attempted: `open`, `read`, `make`, `remove`…
        action: &'static str,
        /// The directory or file.
        path: PathBuf,
        /// The kernel's answer.
        errno: Errno,
    },
    /// The kernel refused a value.
    #[error("cgroup: cannot write {value:?} to {}: {errno}", path.display())]
    Write {
        /// The control file.
        path: PathBuf,
        /// What was written (cut to a readable length).
        value: String,
        /// The kernel's answer.
        errno: Errno,
    },
    /// A control file holds something that its documentation doesn't describe.
    #[error("cgroup: {} holds {text:?}, which cannot be understood", path.display())]
    Parse {
        /// The control file.
        path: PathBuf,
        /// The text that was not understood.
        text: String,
    },
    /// A path that is not a plain path below a hierarchy's root.
    #[error("cgroup path {path:?}: {reason}")]
    Path {
        /// The path as given.
        path: String,
        /// Why it can't be used.
        reason: &'static str,
    },
    /// No cgroup hierarchy is mounted at all.
    #[error("cgroup: no cgroup hierarchy is mounted on this host")]
    NotMounted,
    /// A limit needs a controller that this host doesn't offer.
    #[error("cgroup: {setting} needs the {controller} controller, which is not available on this host")]
    NoController {
        /// The missing controller.
        controller: Controller,
        /// What was asked for.
        setting: &'static str,
    },
    /// A setting that this cgroup version has no file for.
    #[error("cgroup: {setting}: {reason}")]
    Unsupported {
        /// What was asked for.
        setting: String,
        /// Why it can't be done.
        reason: &'static str,
    },
    /// The memory limit is below what the processes use now.
    #[error("cgroup: memory limit {limit} is below the present use of {usage} bytes")]
    MemoryInUse {
        /// The wanted limit in bytes.
        limit: i64,
        /// The present use in bytes.
        usage: u64,
    },
    /// A new cgroup was asked for where one with processes exists.
    #[error("cgroup: {path} exists already and has processes")]
    InUse {
        /// The cgroup's path.
        path: String,
    },
    /// The processes did not leave in time.
    #[error("cgroup: {path} still has processes after {seconds} s")]
    NotEmpty {
        /// The cgroup's path.
        path: String,
        /// How long we waited.
        seconds: u64,
    },
    /// The processes did not freeze in time.
    #[error("cgroup: the processes of {path} did not freeze within {seconds} s")]
    NotFrozen {
        /// The cgroup's path.
        path: String,
        /// How long we waited.
        seconds: u64,
    },
    /// The device filter could not be built or attached.
    #[error("cgroup: device filter: {0}")]
    DeviceFilter(#[from] crate::bpf::Error),
    /// systemd refused, or could not be asked.
    #[error("cgroup: systemd: {0}")]
    Systemd(String),
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path, errno: Errno) -> Self {
        Self::Io { action, path: path.to_path_buf(), errno }
    }

    pub(crate) fn from_io(action: &'static str, path: &Path, err: &std::io::Error) -> Self {
        Self::io(action, path, Errno::from_io_error(err).unwrap_or(Errno::IO))
    }

    pub(crate) fn parse(path: PathBuf, text: &str) -> Self {
        Self::Parse { path, text: cut(text) }
    }

    pub(crate) fn write(path: PathBuf, value: &str, errno: Errno) -> Self {
        Self::Write { path, value: cut(value), errno }
    }

    /// The kernel's answer, where it was one.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Io { errno, .. } | Self::Write { errno, .. } => Some(*errno),
            _ => None,
        }
    }
}

/// Longest text quoted in a message.
const QUOTE_MAX: usize = 80;

fn cut(text: &str) -> String {
    text.trim_end().chars().take(QUOTE_MAX).collect()
}
