//! What can be wrong with a log.

use std::io;
use std::path::PathBuf;

/// A log that can't be configured, written or read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A driver we don't have.
    #[error("logger: no log driver named '{0}' is registered")]
    NoDriver(String),
    /// The driver keeps nothing to read.
    #[error("configured logging driver does not support reading")]
    NotReadable,
    /// The program that forwards output is not ready; its own words.
    #[error("failed to initialize logging driver: {0}")]
    NotReady(String),
    /// The file can't be used.
    #[error("{what} {}: {source}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl LogError {
    pub(super) fn file(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }
}
