//! What can go wrong in the store. The texts for people are Docker's where Docker has one.

use std::io;
use std::path::Path;

use oci::{Digest, ReferenceError};

/// Result of the store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a failure means to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The thing named does not exist.
    NotFound,
    /// The state of something forbids it; `force` may help.
    Conflict,
    /// The input is wrong.
    Invalid,
    /// No room on the device.
    NoSpace,
    /// The host failed.
    Internal,
}

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No image has this name or id.
    #[error("No such image: {0}")]
    NoSuchImage(String),
    /// Several images' ids begin like this.
    #[error("image id {0:?} is ambiguous: it is the beginning of several ids")]
    Ambiguous(String),
    /// No snapshot for this container.
    #[error("container {0} has no root file system in the store")]
    NoSuchSnapshot(String),
    /// The container has one already.
    #[error("container {0} has a root file system already")]
    SnapshotExists(String),
    /// No reference.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The image is in use; the text is Docker's.
    #[error("conflict: {0}")]
    Conflict(String),
    /// The archive is not what it should be.
    #[error("invalid archive: {0}")]
    Archive(String),
    /// The archive ended in the middle.
    #[error("invalid archive: unexpected end of {0}")]
    Truncated(String),
    /// One entry of a layer's tar is hostile or impossible.
    #[error("invalid entry {name:?} in layer: {reason}")]
    Entry {
        /// The entry's name, as far as it is text.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// More than a named limit allows.
    #[error("{what} exceeds the limit of {limit}")]
    Limit {
        /// What is too large or too many.
        what: String,
        /// The most that is allowed.
        limit: u64,
    },
    /// Content is not what its digest says.
    #[error("{what}: expected digest {expected}, got {actual}")]
    DigestMismatch {
        /// Which content.
        what: String,
        /// The digest promised.
        expected: Digest,
        /// The digest found.
        actual: Digest,
    },
    /// A layer's blob is not what it should be.
    #[error("layer {digest}: {reason}")]
    Layer {
        /// Digest of the blob.
        digest: Digest,
        /// What is wrong with it.
        reason: Box<Error>,
    },
    /// Unpacking has failed, and takes no more.
    #[error("{0}")]
    Refused(String),
    /// An image config or manifest is malformed.
    #[error("{0}")]
    Document(String),
    /// What lies on disk is not what was put there.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The driver cannot do it here.
    #[error("storage driver {driver}: {reason}")]
    Driver {
        /// The driver's name.
        driver: &'static str,
        /// Why not.
        reason: String,
    },
    /// Another process has this store open.
    #[error("{0} is in use by another process")]
    Locked(String),
    /// Written by a version that this one doesn't know.
    #[error("{path} has format version {found:?}, this program knows {known}")]
    Version {
        /// The store's directory.
        path: String,
        /// What it says.
        found: String,
        /// What this program reads.
        known: u32,
    },
    /// The device is full.
    #[error("no space left on device: {0}")]
    NoSpace(String),
    /// The kernel refused.
    #[error("{what}: {source}")]
    Io {
        /// What was tried on what.
        what: String,
        /// The reason.
        source: io::Error,
    },
}

impl Error {
    /// What the failure means to the caller.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSuchImage(_) | Self::NoSuchSnapshot(_) => ErrorKind::NotFound,
            Self::Conflict(_) | Self::SnapshotExists(_) => ErrorKind::Conflict,
            Self::Ambiguous(_)
            | Self::Reference(_)
            | Self::Archive(_)
            | Self::Truncated(_)
            | Self::Entry { .. }
            | Self::Limit { .. }
            | Self::DigestMismatch { .. }
            | Self::Refused(_)
            | Self::Document(_) => ErrorKind::Invalid,
            Self::Layer { reason, .. } => reason.kind(),
            Self::NoSpace(_) => ErrorKind::NoSpace,
            Self::Damaged(_)
            | Self::Driver { .. }
            | Self::Locked(_)
            | Self::Version { .. }
            | Self::Io { .. } => ErrorKind::Internal,
        }
    }

    /// What was received is wrong, and not the host.
    pub(crate) fn is_about_content(&self) -> bool {
        matches!(
            self,
            Self::Archive(_)
                | Self::Truncated(_)
                | Self::Entry { .. }
                | Self::Limit { .. }
                | Self::DigestMismatch { .. }
        )
    }

    pub(crate) fn of_layer(self, digest: &Digest) -> Self {
        Self::Layer { digest: digest.clone(), reason: Box::new(self) }
    }

    /// Names what was tried; a full device gets its own variant.
    pub(crate) fn io(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        let (what, source) = (what.into(), source.into());
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace(what),
            _ => Self::Io { what, source },
        }
    }
}

impl From<tarball::Error> for Error {
    fn from(error: tarball::Error) -> Self {
        match error {
            tarball::Error::Archive(reason) | tarball::Error::Refused(reason) => Self::Archive(reason),
            tarball::Error::Truncated(what) => Self::Truncated(what),
            tarball::Error::Entry { name, reason } => Self::Entry { name, reason },
            tarball::Error::Limit { what, limit } => Self::Limit { what, limit },
            tarball::Error::Io { what, source } => Self::io(what, source),
        }
    }
}

/// Adds what was tried to a refusal of the kernel.
pub(crate) trait Context<T> {
    /// `verb path: reason`.
    fn at(self, verb: &str, path: &Path) -> Result<T>;
    /// `what: reason`.
    fn context(self, what: &str) -> Result<T>;
}

impl<T, E: Into<io::Error>> Context<T> for std::result::Result<T, E> {
    fn at(self, verb: &str, path: &Path) -> Result<T> {
        self.map_err(|error| Error::io(format!("{verb} {}", path.display()), error))
    }

    fn context(self, what: &str) -> Result<T> {
        self.map_err(|error| Error::io(what, error))
    }
}
