//! `diff`: what a container has changed in its image's files.

use crate::Engine;
use crate::container::task::blocking;
use crate::container::view::SCAFFOLD;
use crate::error::Result;

impl Engine {
    /// What a container has changed, by path. Looks only at what it wrote, however large the image is.
    ///
    /// # Errors
    /// No such container; the disk fails.
    pub async fn container_changes(&self, name: &str) -> Result<Vec<store::Change>> {
        let (id, store) = (self.0.containers.find(name)?.id.clone(), self.0.store.clone());
        blocking(move || Ok(store.snapshot(&id)?.changes(&SCAFFOLD)?)).await
    }
}
