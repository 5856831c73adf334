//! `wait`: how a container ended.

use crate::Engine;
use tokio::sync::oneshot;

use crate::container::registry::Entry;
use crate::container::task::Request;
use crate::error::Result;

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
    pub(crate) receiver: oneshot::Receiver<WaitResult>,
}

impl Waiter {
    /// Waits.
    pub async fn done(self) -> WaitResult {
        self.receiver.await.unwrap_or_else(|_closed| WaitResult {
            code: -1,
            error: Some("the daemon is shutting down".to_owned()),
        })
    }
}

impl Engine {
    /// Registers a wait.
    ///
    /// # Errors
    /// No such container.
    pub async fn container_wait(&self, name: &str, condition: WaitCondition) -> Result<Waiter> {
        let entry = self.0.containers.find(name)?;
        self.register(&entry, condition).await
    }

    pub(super) async fn register(&self, entry: &Entry, condition: WaitCondition) -> Result<Waiter> {
        let (waiter, receiver) = oneshot::channel();
        entry.ask(|reply| Request::Wait { condition, waiter, reply }).await?;
        Ok(Waiter { receiver })
    }
}
