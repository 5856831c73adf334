//! `resize`: the terminal's size.

use crate::Engine;
use crate::error::{Error, Result};

impl Engine {
    /// Sets the size of a container's terminal.
    ///
    /// # Errors
    /// No such container; it does not run.
    pub async fn container_resize(&self, name: &str, _height: u16, _width: u16) -> Result<()> {
        Err(Error::no_such_container(name))
    }
}
