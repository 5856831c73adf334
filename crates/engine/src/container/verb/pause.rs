//! `pause` and `unpause`: the freezer.

use crate::Engine;
use crate::error::{Error, Result};

impl Engine {
    /// Freezes all its processes.
    ///
    /// # Errors
    /// No such container; it does not run; it is paused already.
    pub async fn container_pause(&self, name: &str) -> Result<()> {
        Err(Error::no_such_container(name))
    }

    /// Thaws them.
    ///
    /// # Errors
    /// No such container; it is not paused.
    pub async fn container_unpause(&self, name: &str) -> Result<()> {
        Err(Error::no_such_container(name))
    }
}
