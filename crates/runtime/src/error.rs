//! What can go wrong, and how a caller tells the cases apart.

use std::fmt;

/// What a failure means to whoever asked for the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The program isn't there (exit code 127).
    NotFound,
    /// The program is there and can't be run (exit code 126).
    NotExecutable,
    /// The specification asks for something that makes no sense or that this host can't do.
    Invalid,
    /// Anything else: a step failed (exit code 125 to Docker, 1 to `berth-oci`).
    Step,
}

/// A failed step: its name, what it worked on, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The meaning.
    pub kind: Kind,
    /// What was being done: `mount proc`, `exec`, …
    pub step: String,
    /// What it was done to, and the reason, as one readable text.
    pub detail: String,
    /// The kernel's reason, when it was one.
    pub errno: Option<sys::Errno>,
}

impl Error {
    /// A step that the kernel refused.
    pub fn errno(step: impl Into<String>, what: impl fmt::Display, errno: sys::Errno) -> Self {
        let reason = std::io::Error::from(errno);
        Self { kind: Kind::Step, step: step.into(), detail: join(what, reason), errno: Some(errno) }
    }

    /// A step that failed in user space.
    pub fn io(step: impl Into<String>, what: impl fmt::Display, error: &std::io::Error) -> Self {
        let errno = error.raw_os_error().map(sys::Errno::from_raw_os_error);
        Self { kind: Kind::Step, step: step.into(), detail: join(what, error), errno }
    }

    /// A step that failed for a reason in words.
    pub fn text(step: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self { kind: Kind::Step, step: step.into(), detail: detail.to_string(), errno: None }
    }

    /// A specification that can't be followed.
    pub fn invalid(step: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self { kind: Kind::Invalid, ..Self::text(step, detail) }
    }

    /// The same error with another meaning.
    #[must_use]
    pub fn with_kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }
}

fn join(what: impl fmt::Display, reason: impl fmt::Display) -> String {
    let what = what.to_string();
    if what.is_empty() { reason.to_string() } else { format!("{what}: {reason}") }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.detail)
    }
}

impl std::error::Error for Error {}

/// What every step returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Puts a step's name and object to a kernel error.
pub(crate) trait Context<T> {
    /// Names the step and what it worked on.
    fn step(self, step: &str, what: impl fmt::Display) -> Result<T>;
}

impl<T> Context<T> for std::result::Result<T, sys::Errno> {
    fn step(self, step: &str, what: impl fmt::Display) -> Result<T> {
        self.map_err(|errno| Error::errno(step, what, errno))
    }
}

impl<T> Context<T> for std::io::Result<T> {
    fn step(self, step: &str, what: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Error::io(step, what, &error))
    }
}
