//! `start`: a made container becomes processes.

use crate::Engine;
use crate::error::{Error, Result};

impl Engine {
    /// Starts a container.
    ///
    /// # Errors
    /// No such container; it runs already ([`crate::Kind::NotModified`]); the start failed, and left nothing.
    pub async fn container_start(&self, name: &str) -> Result<()> {
        Err(Error::no_such_container(name))
    }
}
