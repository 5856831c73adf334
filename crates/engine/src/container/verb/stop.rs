//! `stop` and `restart`: a signal, patience, then SIGKILL.

use crate::Engine;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::kill::{SIGKILL, SIGTERM, stop_signal};
use super::wait::{WaitCondition, WaitResult};
use crate::container::registry::Entry;
use crate::container::signal;
use crate::container::task::{Meaning, Request, event};
use crate::error::{Error, Kind, Result};

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
    pub async fn container_stop(&self, name: &str, options: StopOptions) -> Result<()> {
        let entry = self.0.containers.find(name)?;
        let container = entry.snapshot();
        if !container.state.is_running() {
            return Err(Error::not_modified("container already stopped"));
        }
        let signal = match options.signal.as_deref().filter(|signal| !signal.is_empty()) {
            Some(signal) => signal::parse(signal)?,
            None => stop_signal(&container)?,
        };
        let patience = options.timeout.or(container.config.stop_timeout).unwrap_or(PATIENCE);
        self.end(&entry, signal, Meaning::Stop, patience).await?;
        self.0.events.publish(event(&entry.snapshot(), "stop", &[]));
        Ok(())
    }

    /// Ends all containers that run, each by its own stop signal and in its own time, for the machine is about to go.
    /// What policies start again is left to the next daemon.
    pub async fn end_with_machine(&self) {
        self.0.machine_ends.store(true, Ordering::Relaxed);
        let running = self.0.containers.all().into_iter().filter(|entry| entry.snapshot().state.is_running());
        let ends = running.map(|entry| async move {
            let container = entry.snapshot();
            // what it was made with is no reason to lose its time
            let signal = stop_signal(&container).unwrap_or(SIGTERM);
            let patience = container.config.stop_timeout.unwrap_or(PATIENCE);
            if let Err(error) = self.end(&entry, signal, Meaning::MachineEnds, patience).await {
                tracing::warn!(container = %container.id, %error, "it does not end before the machine");
            }
        });
        futures_util::future::join_all(ends).await;
    }

    /// The signal, `patience` seconds (negative = for ever), and SIGKILL.
    async fn end(&self, entry: &Entry, signal: i32, meaning: Meaning, patience: i64) -> Result<()> {
        let Some(mut waiter) = self.signalled(entry, signal, meaning).await? else { return Ok(()) };
        let Ok(seconds) = u64::try_from(patience) else {
            waiter.await;
            return Ok(());
        };
        if tokio::time::timeout(Duration::from_secs(seconds), &mut waiter).await.is_ok() {
            return Ok(());
        }
        let Some(waiter) = self.signalled(entry, SIGKILL, meaning).await? else { return Ok(()) };
        match tokio::time::timeout(LAST_PATIENCE, waiter).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::system(format!(
                "cannot stop container: {}: tried to kill container, but did not receive an exit event",
                entry.snapshot().name
            ))),
        }
    }

    /// Sends a stopping signal, and gives what completes with the end; `None` when there is nothing to end any more.
    async fn signalled(
        &self,
        entry: &Entry,
        signal: i32,
        meaning: Meaning,
    ) -> Result<Option<BoxFuture<'static, WaitResult>>> {
        let sent = entry.ask(|reply| Request::Signal { signal, meaning, reply }).await;
        match sent {
            Err(error) if matches!(error.kind(), Kind::Conflict | Kind::NotFound) => Ok(None),
            Err(error) => Err(error),
            // only now: an end before the signal may be one that a policy has followed
            Ok(()) => match self.register(entry, WaitCondition::NotRunning).await {
                Err(error) if error.kind() == Kind::NotFound => Ok(None),
                waiter => Ok(Some(waiter?.done().boxed())),
            },
        }
    }

    /// Stops a container if it runs, and starts it.
    ///
    /// # Errors
    /// As stop and start, except that it need not run.
    pub async fn container_restart(&self, name: &str, options: StopOptions) -> Result<()> {
        let entry = self.0.containers.find(name)?;
        // `--rm` is for the end that nobody asked for
        entry.ask(|reply| Request::Hold { held: true, reply }).await?;
        let result = self.stop_and_start(&entry, options).await;
        entry.ask(|reply| Request::Hold { held: false, reply }).await?;
        result?;
        self.0.events.publish(event(&entry.snapshot(), "restart", &[]));
        Ok(())
    }
}

impl Engine {
    async fn stop_and_start(&self, entry: &Entry, options: StopOptions) -> Result<()> {
        match self.container_stop(&entry.id, options).await {
            Err(error) if error.kind() != Kind::NotModified => return Err(error),
            _ => {}
        }
        match entry.ask(Request::Start).await {
            Err(error) if error.kind() != Kind::NotModified => Err(error),
            _ => Ok(()),
        }
    }
}

/// Seconds between the signal and SIGKILL by default.
const PATIENCE: i64 = 10;
/// How long the end that SIGKILL brings is waited for.
const LAST_PATIENCE: Duration = Duration::from_secs(10);
