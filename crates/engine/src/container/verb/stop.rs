//! `stop` and `restart`: a signal, patience, then SIGKILL.

use crate::Engine;
use crate::error::{Error, Result};

/// How a container is stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StopOptions {
    /// Signal; `None` = the container's.
    pub signal: Option<String>,
    /// Seconds before SIGKILL, -1 = never; `None` = the container's.
    pub timeout: Option<i64>,
}

impl Engine {
    /// Stops a container and returns when it has ended.
    ///
    /// # Errors
    /// No such container; it does not run ([`crate::Kind::NotModified`]); no such signal.
    pub async fn container_stop(&self, name: &str, _options: StopOptions) -> Result<()> {
        Err(Error::no_such_container(name))
    }

    /// Stops a container if it runs, and starts it.
    ///
    /// # Errors
    /// As stop and start, except that it need not run.
    pub async fn container_restart(&self, name: &str, _options: StopOptions) -> Result<()> {
        Err(Error::no_such_container(name))
    }
}
