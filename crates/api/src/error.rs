//! The body of every answer that is an error.

use serde::{Deserialize, Serialize};

/// `{"message": …}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorResponse {
    /// What went wrong, for a person.
    #[serde(default)]
    pub message: String,
}

impl ErrorResponse {
    /// An error body.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}
