//! `kill`: one signal to the first process.

use super::wait::WaitCondition;
use crate::Engine;
use crate::container::task::{Meaning, Request};
use crate::container::{Container, signal};
use crate::error::{Error, Result};

impl Engine {
    /// Sends a signal (`KILL`, `SIGTERM`, `9`; `None` or empty = SIGKILL).
    ///
    /// # Errors
    /// No such container; it does not run; no such signal.
    pub async fn container_kill(&self, name: &str, signal: Option<&str>) -> Result<()> {
        let signal = signal.filter(|signal| !signal.is_empty()).map_or(Ok(SIGKILL), signal::parse_known)?;
        self.kill(name, signal).await.map_err(|error| error.context(format!("cannot kill container: {name}")))
    }

    async fn kill(&self, name: &str, number: i32) -> Result<()> {
        let entry = self.0.containers.find(name)?;
        let container = entry.snapshot();
        if !container.state.is_running() {
            return Err(Error::not_running(&container.id));
        }
        // as in Docker: where no stop signal is configured, any signal counts as one
        let stop = number == SIGKILL
            || container.config.stop_signal.is_empty()
            || number == stop_signal(&container)?;
        let meaning = if stop { Meaning::Stop } else { Meaning::Program };
        let waiter = if number == SIGKILL {
            Some(self.register(&entry, WaitCondition::NotRunning).await?)
        } else {
            None
        };
        entry.ask(|reply| Request::Signal { signal: number, meaning, reply }).await?;
        if let Some(waiter) = waiter {
            // a process in an uninterruptible wait dies later
            let _ = tokio::time::timeout(PATIENCE, waiter.done()).await;
        }
        Ok(())
    }
}

/// How long `kill` waits for the end that SIGKILL brings.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);
/// SIGKILL and SIGTERM, signal(7).
pub(super) const SIGKILL: i32 = 9;
pub(super) const SIGTERM: i32 = 15;

/// The signal that asks a container to end.
///
/// # Errors
/// The image names no signal.
pub(super) fn stop_signal(container: &Container) -> Result<i32> {
    match container.config.stop_signal.as_str() {
        "" => Ok(SIGTERM),
        name => signal::parse(name),
    }
}
