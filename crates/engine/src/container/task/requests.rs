//! Requests of verbs.

use super::super::record::Durability;
use super::super::verb::{Update, WaitCondition, WaitResult};
use super::{Meaning, Reply, Request, Task};
use crate::container::{Resources, RestartPolicy, State, Status};
use crate::error::{Error, Result};
use crate::shim::{ShimError, ShimHandle};

/// SIGKILL, signal(7).
const SIGKILL: i32 = 9;

impl Task {
    pub(super) async fn on_request(&mut self, request: Request) {
        match request {
            Request::Start(reply) => {
                let result = self.start_by_hand(None).await;
                send(reply, result);
            }
            Request::Restore { restore, reply } => {
                let result = self.start_by_hand(Some(restore)).await;
                send(reply, result);
            }
            Request::Checkpoint { checkpoint, reply } => {
                let result = self.checkpoint(checkpoint).await;
                send(reply, result);
            }
            Request::Restart(reply) => {
                self.on_restart().await;
                send(reply, Ok(()));
            }
            Request::Signal { signal, meaning, reply } => {
                let result = self.signal(signal, meaning).await;
                send(reply, result);
            }
            Request::Pause { recorded, reply } => send(reply, self.pause(recorded).await),
            Request::Unpause(reply) => send(reply, self.unpause().await),
            Request::Wait { condition, waiter, reply } => {
                self.wait(condition, waiter);
                send(reply, Ok(()));
            }
            Request::Remove { options, reply } => self.on_remove(options, reply).await,
            Request::Rename { name, reply } => send(reply, self.rename(name).await),
            Request::Unlink { alias, reply } => {
                let result = self.unlink(&alias).await;
                send(reply, result);
            }
            Request::Update { update, reply } => send(reply, self.update(*update).await),
            Request::Connect { joining, reply } => send(reply, self.connect(*joining).await),
            Request::Disconnect { network, reply } => send(reply, self.disconnect(&network).await),
            Request::View(reply) => {
                let result = self.view().await;
                send(reply, result);
            }
            Request::Shim(reply) => {
                let result = self.shim_for_attach();
                send(reply, result);
            }
            Request::Hold { held, reply } => {
                self.held = held;
                send(reply, Ok(()));
            }
            Request::Probed { generation, probe } => self.on_probe(generation, probe).await,
        }
    }

    fn wait(&mut self, condition: WaitCondition, waiter: tokio::sync::oneshot::Sender<WaitResult>) {
        if condition == WaitCondition::NotRunning && !self.container.state.is_running() {
            // whoever waited may have gone
            let _ = waiter.send(self.result());
            return;
        }
        // those who gave up waiting
        self.waiters.retain(|(_, waiter)| !waiter.is_closed());
        self.waiters.push((condition, waiter));
    }

    pub(super) fn running_shim(&self) -> Result<ShimHandle> {
        match (&self.shim, self.container.state.running()) {
            (Some(shim), Some(_)) => Ok(shim.clone()),
            _ => Err(Error::not_running(&self.container.id)),
        }
    }

    async fn signal(&mut self, signal: i32, meaning: Meaning) -> Result<()> {
        if meaning == Meaning::MachineEnds {
            if self.container.state.is_restarting() {
                self.restart_at = None;
                return Ok(());
            }
        } else {
            self.by_hand(meaning == Meaning::Stop).await;
        }
        if let State::Restarting(exit) = &self.container.state {
            self.container.state = State::Exited(exit.clone());
            self.restart_at = None;
            self.rest().await;
            return Ok(());
        }
        let shim = self.running_shim()?;
        match shim.kill(signal, false).await {
            Ok(()) => {}
            Err(error) if has_ended(&error) => {}
            Err(error) => {
                return Err(shim_error(format!("Cannot kill container: {}", self.container.id), error));
            }
        }
        self.tell("kill", &[("signal", signal.to_string())]);
        // a frozen process takes its signal only when it thaws
        if self.container.state.is_paused() && (meaning != Meaning::Program || signal == SIGKILL) {
            self.unpause().await?;
        }
        Ok(())
    }

    /// A person means this end: written before the signal is sent, for the policy must know it after any crash.
    pub(super) async fn by_hand(&mut self, cancel: bool) {
        let container = &mut self.container;
        let before = (container.stopped_by_hand, container.restart_cancelled);
        container.stopped_by_hand = true;
        container.restart_cancelled |= cancel;
        let changed = before != (container.stopped_by_hand, container.restart_cancelled);
        if changed && container.host.restart_policy != RestartPolicy::No {
            self.commit_fact(Durability::Memory).await;
        }
    }

    async fn pause(&mut self, recorded: bool) -> Result<()> {
        let id = self.container.id.clone();
        match self.container.state.status() {
            Status::Paused => return Err(Error::conflict(format!("container {id} is already paused"))),
            Status::Restarting => {
                return Err(Error::conflict(format!(
                    "Container {id} is restarting, wait until the container is running"
                )));
            }
            _ => {}
        }
        let shim = self.running_shim()?;
        shim.pause().await.map_err(|error| shim_error(format!("cannot pause container {id}"), error))?;
        if let State::Running(run) = &self.container.state {
            self.container.state = State::Paused(run.clone());
        }
        // as in Docker a container that nobody probes is not healthy
        self.prober.stop();
        self.container.health = self.container.health.take().map(super::health::at_rest);
        if recorded {
            self.commit_fact(Durability::Memory).await;
        } else {
            self.publish();
        }
        self.tell("pause", &[]);
        Ok(())
    }

    pub(super) async fn unpause(&mut self) -> Result<()> {
        let id = self.container.id.clone();
        if !self.container.state.is_paused() {
            return Err(Error::conflict(format!("Container {id} is not paused")));
        }
        let shim = self.running_shim()?;
        shim.resume().await.map_err(|error| shim_error(format!("cannot resume container {id}"), error))?;
        if let State::Paused(run) = &self.container.state {
            self.container.state = State::Running(run.clone());
        }
        self.commit_fact(Durability::Memory).await;
        self.start_probing();
        self.tell("unpause", &[]);
        Ok(())
    }

    async fn rename(&mut self, name: String) -> Result<()> {
        let old = std::mem::replace(&mut self.container.name, name.clone());
        if let Err(error) = self.commit(Durability::Disk).await {
            self.container.name = old;
            return Err(error);
        }
        self.engine.containers.release(&old, &self.container.id);
        self.rename_on_networks().await;
        self.tell("rename", &[("oldName", format!("/{old}"))]);
        Ok(())
    }

    async fn update(&mut self, update: Update) -> Result<Vec<String>> {
        let id = self.container.id.clone();
        if matches!(self.container.state.status(), Status::Removing | Status::Dead) {
            return Err(Error::conflict(format!(
                "Cannot update container {id}: container is marked for removal and cannot be \"update\""
            )));
        }
        let mut host = (*self.container.host).clone();
        let changes = update.changes.clone();
        if !self.engine.host.cgroups && limits_something(&update.resources) {
            return Err(Error::bad_parameter(format!(
                "Cannot update container {id}: it has no cgroup whose limits could change: {}",
                self.engine.config.no_cgroups
            )));
        }
        let mut warnings = super::super::change::apply(&id, &mut host, update, &self.engine.host)?;
        let mut next = self.changed(host, &changes).await?;
        let republished = self.republish(&mut next).await?;
        let before = self.container.clone();
        let done = self.become_updated(next).await;
        if let Err(error) = done {
            self.container = before;
            if republished {
                self.unpublish_again().await;
            }
            return Err(error);
        }
        if changes.waits() && self.container.state.running().is_some() {
            warnings.push("Mounts and environment change when the container is started again".to_owned());
        }
        self.tell("update", &[]);
        Ok(warnings)
    }

    /// Limits in the kernel, then the record.
    async fn become_updated(&mut self, next: crate::container::Container) -> Result<()> {
        // without control groups no limit is left that the kernel could hold
        let other_limits = self.engine.host.cgroups && next.host.resources != self.container.host.resources;
        if self.container.state.running().is_some() && other_limits {
            let limits = self.engine.limits(&next.host.resources)?;
            let shim = self.running_shim()?;
            let what = || format!("Cannot update container {}", self.container.id);
            shim.update(limits).await.map_err(|error| shim_error(what(), error))?;
        }
        self.container = next;
        self.commit(Durability::Disk).await
    }

    fn shim_for_attach(&mut self) -> Result<ShimHandle> {
        match self.container.state.status() {
            Status::Removing | Status::Dead => {
                return Err(Error::conflict(format!(
                    "container {} is marked for removal",
                    self.container.id
                )));
            }
            _ => {}
        }
        self.ensure_shim().map_err(|failed| failed.error)
    }
}

/// Answers; whoever asked may have gone.
pub(super) fn send<T>(reply: Reply<T>, result: Result<T>) {
    let _ = reply.send(result);
}

/// There is no process to signal any more: word of its end is on the way.
pub(super) fn has_ended(error: &ShimError) -> bool {
    use shim::protocol::ErrorKind;
    match error {
        ShimError::Gone => true,
        ShimError::Refused(reply) => reply.kind == ErrorKind::InvalidState,
        _ => false,
    }
}

/// A shim's refusal as the engine's error.
pub(crate) fn shim_error(what: String, error: ShimError) -> Error {
    use shim::protocol::ErrorKind;
    let sentence = format!("{what}: {error}");
    match &error {
        ShimError::Refused(reply) => match reply.kind {
            ErrorKind::InvalidState => Error::conflict(sentence),
            ErrorKind::NoSuchExec => Error::not_found(sentence),
            ErrorKind::NotFound | ErrorKind::NotExecutable | ErrorKind::Invalid => {
                Error::bad_parameter(sentence)
            }
            ErrorKind::Unsupported => Error::not_implemented(sentence),
            ErrorKind::Log | ErrorKind::Failed => Error::system(sentence),
        },
        _ => Error::system(sentence),
    }
}

/// Whether an update asks for a limit: clients send some fields that say nothing.
fn limits_something(asked: &Resources) -> bool {
    let said = Resources {
        pids_limit: asked.pids_limit.filter(|limit| *limit > 0),
        oom_kill_disable: asked.oom_kill_disable.filter(|disable| *disable),
        memory_swappiness: asked.memory_swappiness.filter(|value| *value != -1),
        ..asked.clone()
    };
    said != Resources::default()
}
