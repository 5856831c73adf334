//! A link is taken away.

use super::super::links;
use super::super::record::Durability;
use super::{Task, blocking};
use crate::error::{Error, Result};

impl Task {
    /// Those that link this container learn its address.
    pub(super) async fn tell_linked(&self) {
        if self.engine.containers.linking(&self.container.id).is_empty() {
            return;
        }
        let (engine, container) = (std::sync::Arc::clone(&self.engine), self.container.clone());
        let told = blocking(move || {
            links::follow(&engine, &container);
            Ok(())
        });
        if let Err(error) = told.await {
            tracing::warn!(container = %self.container.id, %error, "those that link it were not told its address");
        }
    }

    /// Forgets the link of this name; a running container's hosts file, too.
    pub(super) async fn unlink(&mut self, alias: &str) -> Result<()> {
        let before = self.container.links.clone();
        self.container.links.retain(|link| link.alias != alias);
        if self.container.links == before {
            return Err(Error::no_such_container(&format!("{}/{alias}", self.container.name)));
        }
        if let Err(error) = self.commit(Durability::Disk).await {
            self.container.links = before;
            return Err(error);
        }
        if self.container.state.running().is_some() {
            let (container, alias) = (self.container.clone(), alias.to_owned());
            blocking(move || {
                links::forget(&container, &alias);
                Ok(())
            })
            .await?;
        }
        Ok(())
    }
}
