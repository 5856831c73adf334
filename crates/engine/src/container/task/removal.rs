//! Removing: first the process, then everything that bears the container's id, the record before the rest.

use std::sync::Arc;

use super::super::record::{self, Durability};
use super::super::verb::{RemoveOptions, WaitCondition};
use super::requests::send;
use super::{Reply, Task, blocking};
use crate::container::{State, Status};
use crate::error::{Error, Result};

const SIGKILL: i32 = 9;

impl Task {
    pub(super) async fn on_remove(&mut self, options: RemoveOptions, reply: Reply<()>) {
        if let Some((_, replies)) = &mut self.removal {
            replies.push(reply);
            return;
        }
        if let Err(error) = self.removable(options) {
            send(reply, Err(error));
            return;
        }
        self.restart_at = None;
        if self.container.state.running().is_none() {
            let result = self.remove_now(options).await;
            send(reply, result);
            return;
        }
        self.by_hand(true).await;
        match self.kill_for_removal().await {
            // the removal goes on when the end is told
            Ok(()) => self.removal = Some((options, vec![reply])),
            Err(error) => send(reply, Err(error)),
        }
    }

    async fn kill_for_removal(&mut self) -> Result<()> {
        let Some(shim) = self.shim.clone() else { return Ok(()) };
        match shim.kill(SIGKILL, false).await {
            Ok(()) => {}
            Err(error) if super::requests::has_ended(&error) => {}
            Err(error) => {
                let what = format!("cannot remove container \"/{}\": could not kill", self.container.name);
                return Err(super::requests::shim_error(what, error));
            }
        }
        self.tell("kill", &[("signal", SIGKILL.to_string())]);
        if self.container.state.is_paused() {
            self.unpause().await?;
        }
        Ok(())
    }

    fn removable(&self, options: RemoveOptions) -> Result<()> {
        if options.force {
            return Ok(());
        }
        let reason = match self.container.state.status() {
            Status::Running => "container is running: stop the container before removing or force remove",
            Status::Paused => "container is paused and must be unpaused first",
            Status::Restarting => {
                "container is restarting: stop the container before removing or force remove"
            }
            _ => return Ok(()),
        };
        Err(Error::conflict(format!("cannot remove container \"/{}\": {reason}", self.container.name)))
    }

    /// Removes a container that does not run.
    pub(super) async fn remove_now(&mut self, options: RemoveOptions) -> Result<()> {
        let before = self.container.state.clone();
        self.container.state = State::Removing(before.exited().cloned().unwrap_or_default());
        self.publish();
        self.drop_shim().await;
        let (engine, container) = (Arc::clone(&self.engine), self.container.clone());
        let durability = Durability::Disk.of(&container);
        let removed = blocking(move || {
            record::forget(&engine.layout, &container.id, durability)?;
            record::remove_directory(&engine.layout, &container.id)?;
            engine
                .store
                .remove_snapshot(&container.id)
                .map_err(|error| Error::because("remove the root file system", error))?;
            crate::volume::leave(&engine, &container, options.volumes);
            Ok(())
        })
        .await;
        if let Err(error) = removed {
            self.container.state = State::Dead(before.exited().cloned().unwrap_or_default());
            self.publish();
            return Err(error.context(format!("container {}", self.container.id)));
        }
        self.engine.execs.forget(&self.container.id);
        self.engine.containers.remove(&self.container.id);
        self.container.state = before;
        self.tell("destroy", &[]);
        self.removed = true;
        // a failed start was told to whoever started it
        if let State::Created { failure: Some(failure) } = &mut self.container.state {
            failure.error.clear();
        }
        self.answer(|_| true);
        debug_assert!(self.waiters.iter().all(|(what, _)| *what == WaitCondition::Removed));
        Ok(())
    }
}
