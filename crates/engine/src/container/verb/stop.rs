//! `stop` and `restart`: a signal, patience, then SIGKILL.

use crate::Engine;
use std::time::Duration;

use futures_util::FutureExt as _;

use super::kill::{SIGKILL, stop_signal};
use super::wait::WaitCondition;
use crate::container::registry::Entry;
use crate::container::signal;
use crate::container::task::{Request, event};
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
        let mut waiter = self.register(&entry, WaitCondition::NotRunning).await?.done().boxed();
        let ended = match entry.ask(|reply| Request::Signal { signal, stop: true, reply }).await {
            // it has ended meanwhile, or is gone
            Err(error) if matches!(error.kind(), Kind::Conflict | Kind::NotFound) => true,
            other => {
                other?;
                match u64::try_from(patience) {
                    Ok(seconds) => {
                        tokio::time::timeout(Duration::from_secs(seconds), &mut waiter).await.is_ok()
                    }
                    Err(_) => {
                        (&mut waiter).await;
                        true
                    }
                }
            }
        };
        if !ended {
            let killed = entry.ask(|reply| Request::Signal { signal: SIGKILL, stop: true, reply }).await;
            if killed.is_ok() && tokio::time::timeout(LAST_PATIENCE, &mut waiter).await.is_err() {
                return Err(Error::system(format!(
                    "cannot stop container: {name}: tried to kill container, but did not receive an exit event"
                )));
            }
        }
        self.0.events.publish(event(&entry.snapshot(), "stop", &[]));
        Ok(())
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
