//! `checkpoint`: a running container's processes to disk, and back.

use std::sync::Arc;

use shim::protocol::RestoreRequest;

use crate::Engine;
use crate::container::Container;
use crate::container::checkpoint::{self, NewCheckpoint};
use crate::container::mode::{IpcMode, NamespaceMode};
use crate::container::task::{Request, blocking};
use crate::engine::Inner;
use crate::error::{Error, Result};

/// What checkpoint is to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckpointOptions {
    /// Its name.
    pub name: String,
    /// Absolute path of the folder that it is made in; empty = the container's own.
    pub directory: String,
    /// The container ends with it.
    pub exit: bool,
}

impl Engine {
    /// Makes a checkpoint.
    ///
    /// # Errors
    /// No such container; it does not run, or is of a kind that can't be brought back; the name is wrong or taken; the
    /// program `criu` is not installed, or has failed.
    pub async fn container_checkpoint(&self, name: &str, options: CheckpointOptions) -> Result<()> {
        let entry = self.0.containers.find(name)?;
        let container = entry.snapshot();
        if container.ids.is_some() {
            return Err(Error::bad_parameter(
                "a container in a user namespace of its own can't be checkpointed: run it with --userns=host",
            ));
        }
        checkpoint::name(&options.name)?;
        let folder = checkpoint::folder(&self.0.layout, &container.id, &options.directory)?;
        if container.state.running().is_none() {
            return Err(Error::not_running(&container.id));
        }
        refuse(&self.0, &container)?;
        let new = NewCheckpoint {
            folder,
            name: options.name,
            container: container.name.clone(),
            criu: checkpoint::criu()?,
            exit: options.exit,
        };
        entry.ask(|reply| Request::Checkpoint { checkpoint: new, reply }).await
    }

    /// Names of a container's checkpoints, in order.
    ///
    /// # Errors
    /// No such container; the folder can't be read.
    pub async fn container_checkpoints(&self, name: &str, directory: &str) -> Result<Vec<String>> {
        let container = self.0.containers.find(name)?.snapshot();
        let folder = checkpoint::folder(&self.0.layout, &container.id, directory)?;
        if !directory.is_empty() && !folder.is_dir() {
            return Err(Error::not_found(format!("checkpoint directory {directory} does not exist")));
        }
        blocking(move || checkpoint::list(&folder)).await
    }

    /// Removes a checkpoint.
    ///
    /// # Errors
    /// No such container or checkpoint; the disk fails.
    pub async fn container_checkpoint_remove(
        &self,
        name: &str,
        directory: &str,
        checkpoint: &str,
    ) -> Result<()> {
        let container = self.0.containers.find(name)?.snapshot();
        let folder = checkpoint::folder(&self.0.layout, &container.id, directory)?;
        checkpoint::find(&folder, checkpoint, &container.name)?;
        let checkpoint = checkpoint.to_owned();
        blocking(move || checkpoint::remove(&folder, &checkpoint)).await
    }

    /// Starts a container from a checkpoint.
    ///
    /// # Errors
    /// As [`Engine::container_start`]; no such checkpoint; the program `criu` is not installed, or has failed.
    pub async fn container_restore(&self, name: &str, directory: &str, checkpoint: &str) -> Result<()> {
        let entry = self.0.containers.find(name)?;
        let container = entry.snapshot();
        let folder = checkpoint::folder(&self.0.layout, &container.id, directory)?;
        let images = checkpoint::find(&folder, checkpoint, &container.name)?;
        refuse(&self.0, &container)?;
        let restore = RestoreRequest { criu: checkpoint::criu()?, images };
        entry.ask(|reply| Request::Restore { restore, reply }).await
    }
}

/// Containers whose processes can't be brought back as they were.
fn refuse(engine: &Arc<Inner>, container: &Container) -> Result<()> {
    if engine.config.rootless {
        let why = "checkpoint not supported by a rootless berthd: CRIU needs root's rights on the host";
        return Err(Error::not_implemented(why));
    }
    if container.config.tty {
        return Err(Error::not_implemented("checkpoint not supported on containers with tty"));
    }
    let modes = crate::container::start::modes(engine, container)?;
    let refused = |what: &str| {
        Err(Error::not_implemented(format!("checkpoint not supported on containers with {what}")))
    };
    if !engine.runtime(&container.host.runtime)?.path.is_empty() {
        return refused("an outside runtime");
    }
    if modes.pid != NamespaceMode::Private {
        return refused("the PID namespace of the host or of another container");
    }
    match modes.ipc {
        IpcMode::Private | IpcMode::None => Ok(()),
        _ => refused("shared memory that others may join (--ipc)"),
    }
}
