//! What can go wrong between the daemon and a shim.

use std::io;
use std::path::PathBuf;

use shim::protocol::{ErrorReply, FrameError};

/// A shim could not be reached, or has refused.
#[derive(Debug, thiserror::Error)]
pub enum ShimError {
    /// The shim has answered no.
    #[error(transparent)]
    Refused(#[from] ErrorReply),
    /// The connection is closed: the shim has ended or was killed.
    #[error("the container's shim is gone")]
    Gone,
    /// The shim's frames can't be read.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The answer does not belong to the request.
    #[error("the container's shim gave another answer than {0} asks for")]
    Unexpected(&'static str),
    /// More volumes than a shim can be handed.
    #[error("more than {0} mounts of volumes with options, of images and with mapped ids in one container")]
    TooManyMounts(usize),
    /// A system call on the daemon's side failed.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A file or directory of the shim's can't be made or used.
    #[error("{what} {}: {source}", path.display())]
    Path {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl ShimError {
    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}
