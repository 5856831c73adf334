//! `remove`: a container and all that is its own.

use crate::Engine;
use crate::error::{Error, Result};

/// How far a removal goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoveOptions {
    /// Kill it first.
    pub force: bool,
    /// Its anonymous volumes too.
    pub volumes: bool,
    /// Only the legacy link of this name.
    pub link: bool,
}

impl Engine {
    /// Removes a container.
    ///
    /// # Errors
    /// No such container; it runs and `force` is off; a removal is under way.
    pub async fn container_remove(&self, name: &str, _options: RemoveOptions) -> Result<()> {
        Err(Error::no_such_container(name))
    }
}
