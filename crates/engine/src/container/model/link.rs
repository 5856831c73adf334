//! Legacy links.

use serde::{Deserialize, Serialize};

/// A name that one container has for another on the default bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Id of the other container.
    pub target: String,
    /// The name.
    pub alias: String,
}
