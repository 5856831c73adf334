//! What can be wrong with a tar, or go wrong with a tree.

use std::io;

use crate::show;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The archive is not what it should be.
    #[error("invalid archive: {0}")]
    Archive(String),
    /// The archive ended in the middle.
    #[error("invalid archive: unexpected end of {0}")]
    Truncated(String),
    /// One entry is hostile or impossible.
    #[error("invalid entry {name:?}: {reason}")]
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
    /// What the archive has may not be put there; the sentence is Docker's.
    #[error("{0}")]
    Refused(String),
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
    /// Names what was tried.
    pub fn io(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Io { what: what.into(), source: source.into() }
    }

    /// `verb "name": reason`.
    pub fn at(verb: &str, name: &[u8], source: impl Into<io::Error>) -> Self {
        Self::io(format!("{verb} {:?}", show(name)), source)
    }

    /// For one entry of an archive.
    pub fn entry(name: &[u8], reason: impl Into<String>) -> Self {
        Self::Entry { name: show(name), reason: reason.into() }
    }
}
