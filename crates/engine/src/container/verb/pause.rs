//! `pause` and `unpause`: the freezer.

use crate::Engine;
use crate::container::task::Request;
use crate::error::Result;

impl Engine {
    /// Freezes all its processes.
    ///
    /// # Errors
    /// No such container; it does not run; it is paused already.
    pub async fn container_pause(&self, name: &str) -> Result<()> {
        self.0.containers.find(name)?.ask(|reply| Request::Pause { recorded: true, reply }).await
    }

    /// Thaws them.
    ///
    /// # Errors
    /// No such container; it is not paused.
    pub async fn container_unpause(&self, name: &str) -> Result<()> {
        self.0.containers.find(name)?.ask(Request::Unpause).await
    }
}
