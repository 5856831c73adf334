//! `resize`: the terminal's size.

use crate::Engine;
use crate::container::task::{event, shim_error};
use crate::error::{Error, Result};

impl Engine {
    /// Sets the size of a container's terminal.
    ///
    /// # Errors
    /// No such container; it does not run.
    pub async fn container_resize(&self, name: &str, height: u16, width: u16) -> Result<()> {
        let entry = self.0.containers.find(name)?;
        let container = entry.snapshot();
        if container.state.running().is_none() {
            return Err(Error::not_running(&container.id));
        }
        // As with Docker, a container without a terminal has nothing that could have a size.
        if !container.config.tty {
            return Ok(());
        }
        let shim = entry.shim().ok_or_else(|| Error::not_running(&container.id))?;
        let what = || format!("resize container {}", container.id);
        shim.resize(None, height, width).await.map_err(|error| shim_error(what(), error))?;
        let more = [("height", height.to_string()), ("width", width.to_string())];
        self.0.events.publish(event(&container, "resize", &more));
        Ok(())
    }
}
