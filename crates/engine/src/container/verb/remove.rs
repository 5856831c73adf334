//! `remove`: a container and all that is its own.

use crate::Engine;
use crate::container::task::Request;
use crate::error::Result;

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
    pub async fn container_remove(&self, name: &str, options: RemoveOptions) -> Result<()> {
        self.0.containers.find(name)?.ask(|reply| Request::Remove { options, reply }).await
    }
}
