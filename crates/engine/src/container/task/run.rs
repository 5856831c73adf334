//! Starting: by hand, by the restart policy, at the daemon's start.

use std::sync::Arc;

use jiff::Timestamp;
use shim::protocol::{ErrorKind, ErrorReply, RestoreRequest};

use super::super::record::Durability;
use super::super::start;
use super::Task;
use crate::container::book::Taken;
use crate::container::security::selinux;
use crate::container::{Exited, Failure, RestartPolicy, Running, State, Status};
use crate::error::{Error, Kind, Result};
use crate::shim::{ShimError, ShimHandle, SpawnOptions};

impl Task {
    pub(super) async fn start_by_hand(&mut self, restore: Option<RestoreRequest>) -> Result<()> {
        match self.container.state.status() {
            Status::Running => return Err(Error::not_modified("container is already running")),
            Status::Paused => {
                return Err(Error::conflict("cannot start a paused container, try unpause instead"));
            }
            Status::Removing | Status::Dead => {
                return Err(Error::conflict("container is marked for removal and cannot be started"));
            }
            Status::Created | Status::Exited | Status::Restarting => {}
        }
        self.restart_at = None;
        self.back_off.reset();
        self.container.restart_count = 0;
        self.container.stopped_by_hand = false;
        self.container.restart_cancelled = false;
        // What a person has started, its policy starts again with the machine: that it was started must be on disk then.
        // Without a policy the run ends with the machine, and one that a policy begins is begun again anyway.
        let durability = match self.container.host.restart_policy {
            RestartPolicy::No => Durability::Memory,
            _ => Durability::Disk,
        };
        let result = self.start(restore, durability).await;
        if result.is_err() && self.container.host.auto_remove && !self.held {
            self.remove_now(super::RemoveOptions { volumes: true, ..Default::default() }).await?;
        }
        result
    }

    /// Starts it or brings its processes back; or leaves everything undone and the failure in the state.
    pub(super) async fn start(
        &mut self,
        restore: Option<RestoreRequest>,
        durability: Durability,
    ) -> Result<()> {
        self.engine.swept().await;
        self.oom = false;
        let _level = match self.label().await {
            Ok(level) => level,
            Err(error) => return self.failed(error.into()).await,
        };
        self.container.run += 1;
        let shim = match self.ensure_shim() {
            Ok(shim) => shim,
            Err(error) => return self.failed(error).await,
        };
        let extra = start::Extra { restore, ..start::Extra::default() };
        match start::run(&self.engine, &self.container, &shim, self.view.upgrade(), extra).await {
            Ok(started) => {
                self.container.state = State::Running(Running { pid: started.pid, started_at: started.at });
                self.container.network = started.network;
                if self.engine.host.cgroup_v2 {
                    // the kernel has no such switch, as Docker shows from the first start on
                    Arc::make_mut(&mut self.container.host).resources.oom_kill_disable = None;
                }
                self.container.health = super::health::initial(&self.container);
                self.commit_fact(durability).await;
                self.tell_networks("connect", &self.container.network.networks);
                crate::volume::mounted(&self.engine, &self.container);
                self.tell("start", &[]);
                self.tell_linked().await;
                self.start_probing();
                Ok(())
            }
            Err(error) => {
                self.drop_shim().await;
                self.failed(error).await
            }
        }
    }

    /// Labels a container that was made when containers had no labels. Its record says so before it runs: a daemon that
    /// is killed in between has a successor that gives the same label to sessions, and to nobody else.
    async fn label(&mut self) -> Result<Option<Taken<String>>> {
        if !self.engine.selinux.is_enabled() || !self.container.mount_label.is_empty() {
            return Ok(None);
        }
        let level = selinux::take(&self.engine, &mut self.container)?;
        self.commit_fact(Durability::Memory).await;
        Ok(level)
    }

    /// Records a failed start.
    async fn failed(&mut self, error: start::Failed) -> Result<()> {
        let failure = Failure { code: error.code, error: error.error.to_string() };
        self.container.state = match &self.container.state {
            State::Created { .. } => State::Created { failure: Some(failure) },
            other => {
                let mut exit = other.exited().cloned().unwrap_or_default();
                exit.code = failure.code;
                exit.error = failure.error;
                exit.finished_at = exit.finished_at.or_else(|| Some(Timestamp::now()));
                State::Exited(exit)
            }
        };
        self.commit_fact(Durability::Memory).await;
        // no event and no answer to a wait: nothing has run, so nothing has ended
        Err(error.error)
    }

    /// The shim, made now if there is none.
    pub(super) fn ensure_shim(&mut self) -> Result<ShimHandle, start::Failed> {
        if let Some(shim) = &self.shim {
            return Ok(shim.clone());
        }
        let options = SpawnOptions {
            program: &self.engine.config.shim,
            id: &self.container.id,
            state_dir: &self.engine.layout.shim(&self.container.id),
        };
        let (shim, events) = ShimHandle::spawn(&options).map_err(|error| start::Failed {
            code: 128,
            error: Error::because("failed to start shim", error),
        })?;
        self.shim = Some(shim.clone());
        self.events = Some(events);
        self.entry.set_shim(Some(shim.clone()));
        Ok(shim)
    }

    /// Ends a shim whose container does not run (any more).
    pub(super) async fn drop_shim(&mut self) {
        self.entry.set_shim(None);
        self.events = None;
        if let Some(shim) = self.shim.take() {
            if let Err(error) = shim.shutdown().await {
                tracing::warn!(container = %self.container.id, %error, "the shim did not end");
            }
            remove_shim_directory(&self.engine.layout.shim(&self.container.id));
        }
    }

    /// The delay is over. As in Docker a start that fails now is the last one: the container rests, with the exit code of
    /// its last run and the reason of the failure.
    pub(super) async fn on_restart(&mut self) {
        self.restart_at = None;
        let State::Restarting(exit) = self.container.state.clone() else { return };
        if let Err(error) = self.start(None, Durability::Memory).await {
            tracing::warn!(container = %self.container.id, %error, "the container was not started again");
            self.container.state = State::Exited(Exited { error: error.to_string(), ..exit });
            self.rest().await;
        }
    }
}

/// What a shim leaves when it is gone.
pub(crate) fn remove_shim_directory(path: &std::path::Path) {
    if let Err(error) = std::fs::remove_dir_all(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "the shim's directory could not be removed");
    }
}

impl From<ShimError> for start::Failed {
    /// Docker's sentence and exit code for a start that the runtime refused.
    fn from(error: ShimError) -> Self {
        let code = match &error {
            ShimError::Refused(reply) => ErrorReply::exit_code(reply),
            _ => 128,
        };
        let ours = matches!(&error, ShimError::Refused(reply) if reply.kind == ErrorKind::Log);
        let runtime = if ours { "" } else { "OCI runtime create failed: " };
        let sentence = format!("failed to create task for container: {runtime}{error}");
        let kind = if code == 128 { Kind::System } else { Kind::BadParameter };
        Self { code, error: Error::system(sentence).of_kind(kind).with_source(error) }
    }
}

impl From<Error> for start::Failed {
    fn from(error: Error) -> Self {
        Self { code: 128, error }
    }
}
