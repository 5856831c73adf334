//! `update`: other limits for a container, running or not.

use crate::Engine;
use crate::container::task::Request;
use crate::container::{Changes, Resources, RestartPolicy};
use crate::error::Result;

/// What changes; unset fields stay.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Update {
    /// Limits.
    pub resources: Resources,
    /// Restart policy.
    pub restart_policy: Option<RestartPolicy>,
    /// What Docker can't change.
    pub changes: Changes,
}

impl Engine {
    /// Changes limits, and gives warnings.
    ///
    /// # Errors
    /// No such container; a limit is wrong or the kernel refuses it.
    pub async fn container_update(&self, name: &str, update: Update) -> Result<Vec<String>> {
        let update = Box::new(update);
        self.0.containers.find(name)?.ask(|reply| Request::Update { update, reply }).await
    }
}
