//! Why an archive can't be explored.

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The archive, or a layer in it, is no sound tar.
    #[error(transparent)]
    Tar(#[from] tarball::Error),
    /// The archive holds something that can't be right.
    #[error("invalid image archive: {0}")]
    Archive(String),
    /// More than a named limit allows.
    #[error("{what} exceeds the limit of {limit}")]
    Limit {
        /// What is too large or too many.
        what: &'static str,
        /// The most that is allowed.
        limit: u64,
    },
    /// The archive has several images, or none of that name or platform.
    #[error("{0}")]
    Choice(String),
    /// A threshold, or the file with them, can't be read.
    #[error("{0}")]
    Rules(String),
}
