//! Processes to disk, by the shim.

use shim::protocol::CheckpointRequest;

use super::super::checkpoint::NewCheckpoint;
use super::super::record::Durability;
use super::{Task, blocking, next_event};
use crate::error::{Error, Result};

impl Task {
    /// Makes a checkpoint whole, or leaves nothing of it and the container as it was. A container that is to end with
    /// it has ended when this returns.
    pub(super) async fn checkpoint(&mut self, checkpoint: NewCheckpoint) -> Result<()> {
        let id = self.container.id.clone();
        let shim = self.running_shim()?;
        if self.container.state.is_paused() {
            return Err(Error::conflict(format!(
                "container {id} is paused, unpause the container before checkpoint"
            )));
        }
        let (criu, exit) = (checkpoint.criu.clone(), checkpoint.exit);
        let (images, checkpoint) = blocking(move || Ok((checkpoint.begin()?, checkpoint))).await?;
        let before = (self.container.stopped_by_hand, self.container.restart_cancelled);
        if exit {
            self.by_hand(true).await;
        }
        let written = shim.checkpoint(CheckpointRequest { criu, images, leave_running: !exit }).await;
        if let Err(error) = written {
            if before != (self.container.stopped_by_hand, self.container.restart_cancelled) {
                (self.container.stopped_by_hand, self.container.restart_cancelled) = before;
                self.commit_fact(Durability::Memory).await;
            }
            // the first error counts; what is left is swept by the next daemon
            let _ = blocking(move || checkpoint.abandon()).await;
            let what = format!("Cannot checkpoint container {}", self.container.name);
            return Err(super::shim_error(what, error));
        }
        let kept = blocking(move || checkpoint.commit()).await;
        self.tell("checkpoint", &[]);
        while exit && self.container.state.running().is_some() {
            let event = next_event(&mut self.events).await;
            self.on_event(event).await;
        }
        kept
    }
}
