//! `remove`: a container and all that is its own.

use crate::Engine;
use crate::container::task::Request;
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
    pub async fn container_remove(&self, name: &str, options: RemoveOptions) -> Result<()> {
        if options.link {
            return self.unlink(name).await;
        }
        self.0.containers.find(name)?.ask(|reply| Request::Remove { options, reply }).await
    }

    /// Removes a legacy link, `parent/alias`, and nothing else.
    async fn unlink(&self, name: &str) -> Result<()> {
        let bare = name.strip_prefix('/').unwrap_or(name);
        let Some((parent, alias)) = bare.rsplit_once('/') else {
            return Err(Error::conflict("Conflict, cannot remove the default link name of the container"));
        };
        let gone = |_error| Error::no_such_container(name);
        let parent = self.0.containers.find(parent).map_err(gone)?;
        parent.ask(|reply| Request::Unlink { alias: alias.to_owned(), reply }).await
    }
}
