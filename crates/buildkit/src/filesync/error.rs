//! Why a synchronisation failed.

use rustix::io::Errno;

/// Why.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that can't be had or made.
    #[error("{action} {path:?}: {error}")]
    File {
        /// What was tried.
        action: &'static str,
        /// Below the root of the tree.
        path: String,
        /// Why not.
        error: Errno,
    },
    /// The other end does not keep to the protocol.
    #[error("file synchronisation: {0}")]
    Protocol(String),
    /// The other end's own words.
    #[error("{0}")]
    Peer(String),
    /// The other end is gone.
    #[error("the connection broke off while files were sent")]
    Gone,
}

/// Result of both ends.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(super) fn file(action: &'static str, path: &str) -> impl FnOnce(Errno) -> Self {
        let path = path.to_owned();
        move |error| Self::File { action, path, error }
    }

    pub(super) fn protocol(what: impl Into<String>) -> Self {
        Self::Protocol(what.into())
    }
}
