//! `wait`: how a container ended.

use crate::Engine;
use crate::error::{Error, Result};

/// What is waited for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WaitCondition {
    /// It does not run (at once when it does not now).
    #[default]
    NotRunning,
    /// It ends next time.
    NextExit,
    /// It is removed.
    Removed,
}

/// How it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WaitResult {
    /// Exit code.
    pub code: i32,
    /// Why, if something went wrong.
    pub error: Option<String>,
}

/// A registered wait: whatever happens from now on is seen.
pub struct Waiter {
    pub(crate) receiver: tokio::sync::oneshot::Receiver<WaitResult>,
}

impl Waiter {
    /// Waits.
    pub async fn done(self) -> WaitResult {
        self.receiver.await.unwrap_or_default()
    }
}

impl Engine {
    /// Registers a wait.
    ///
    /// # Errors
    /// No such container.
    pub async fn container_wait(&self, name: &str, _condition: WaitCondition) -> Result<Waiter> {
        Err(Error::no_such_container(name))
    }
}
