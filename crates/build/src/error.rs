//! Why a build ended.

/// A failure of one piece of work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The build was cancelled.
    #[error("the build was cancelled")]
    Cancelled,
    /// A process ended with a code that is no success.
    #[error("process {:?} did not complete successfully: exit code: {code}", args.join(" "))]
    Exit {
        /// What was run.
        args: Vec<String>,
        /// Its exit code.
        code: i32,
    },
    /// A path of a copy or another change of files.
    #[error("{path:?}: {reason}")]
    Path {
        /// The path as it was written.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What a copy is to take is not there.
    #[error("{path:?}: not found")]
    Missing {
        /// The path or pattern as it was written.
        path: String,
    },
    /// Something is not offered here; it is named.
    #[error("{0} is not supported by this version of Berth")]
    Unsupported(String),
    /// The engine's or the kernel's refusal.
    #[error("{what}: {source}")]
    Failed {
        /// What was being done.
        what: String,
        /// Why it went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An instruction is wrong.
    #[error("dockerfile parse error on line {line}: {message}")]
    At {
        /// Where it begins, from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// What was asked for is wrong.
    #[error("{0}")]
    Invalid(String),
}

/// What may be an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Somebody else's failure while `what` was done.
    pub fn because(
        what: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Failed { what: what.into(), source: source.into() }
    }

    /// Something is wrong with a path.
    pub fn path(path: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self::Path { path: path.into(), reason: reason.to_string() }
    }
}
