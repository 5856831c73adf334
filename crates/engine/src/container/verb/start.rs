//! `start`: a made container becomes processes.

use crate::Engine;
use crate::container::task::Request;
use crate::error::Result;

impl Engine {
    /// Starts a container.
    ///
    /// # Errors
    /// No such container; it runs already ([`crate::Kind::NotModified`]); the start failed, and left nothing.
    pub async fn container_start(&self, name: &str) -> Result<()> {
        self.0.containers.find(name)?.ask(Request::Start).await
    }
}
