//! Why a request was refused.

use serde::{Deserialize, Serialize};

/// The kind decides the exit code and the HTTP status that a person sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// The program to run, its interpreter or its working directory does not exist (exit code 127).
    NotFound,
    /// The program exists but can't be executed (exit code 126).
    NotExecutable,
    /// The request does not fit the state (no container yet, not running, paused, …).
    InvalidState,
    /// There is no such exec session.
    NoSuchExec,
    /// The request is malformed, or asks for something that is not valid.
    Invalid,
    /// This shim does not know the request, or the machine can't do it.
    Unsupported,
    /// The log driver can't work; the message is whole.
    Log,
    /// Anything else.
    #[serde(other)]
    Failed,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct ErrorReply {
    /// What kind.
    pub kind: ErrorKind,
    /// What failed and why, for a person.
    pub message: String,
}

impl ErrorReply {
    /// A refusal of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The exit code of `docker run` and of an exec session whose process could not start.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        match self.kind {
            ErrorKind::NotFound => 127,
            ErrorKind::NotExecutable => 126,
            _ => 128,
        }
    }
}
