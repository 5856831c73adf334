//! `rename`.

use crate::Engine;
use crate::container::task::Request;
use crate::error::{Error, Result};

impl Engine {
    /// Gives a container another name.
    ///
    /// # Errors
    /// No such container; the name is taken, bad, or its own.
    pub async fn container_rename(&self, name: &str, new_name: &str) -> Result<()> {
        if name.is_empty() || new_name.is_empty() {
            return Err(Error::bad_parameter("Neither old nor new names may be empty"));
        }
        let entry = self.0.containers.find(name)?;
        let taken = |error: Error| error.context("Error when allocating new name");
        let new = crate::id::container_name(new_name).map_err(taken)?.to_owned();
        if entry.snapshot().name == new {
            return Err(Error::bad_parameter("Renaming a container with the same name as its current name"));
        }
        self.0.containers.reserve(&new, &entry.id).map_err(taken)?;
        let result = entry.ask(|reply| Request::Rename { name: new.clone(), reply }).await;
        if result.is_err() {
            self.0.containers.release(&new, &entry.id);
        }
        result
    }
}
