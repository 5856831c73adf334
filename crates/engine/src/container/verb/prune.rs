//! `prune`: removes all containers that don't run.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};

use crate::Engine;
use crate::container::registry::Entry;
use crate::container::task::{Request, blocking};
use crate::container::{Container, RemoveOptions, Status};
use crate::error::Result;
use crate::events::EventKind;
use crate::filters::Filters;
use crate::system::taken;

/// Removals under way at the same time.
const PARALLEL: usize = 8;

/// What a prune has removed, or would remove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Ids.
    pub ids: Vec<String>,
    /// Bytes that have come free on the disk: what was written to their roots, and logs.
    pub bytes: u64,
}

impl Engine {
    /// Removes all containers that don't run and pass the filters (`label label! until`); anonymous volumes stay.
    /// With `dry_run` nothing is removed, and told is what would be.
    ///
    /// # Errors
    /// A filter is unknown or wrong; another prune is under way.
    pub async fn container_prune(&self, filters: Filters, dry_run: bool) -> Result<Pruned> {
        let chosen = self.prunable(&filters)?;
        let _turn = self.0.pruning.containers()?;
        let removed = stream::iter(chosen).map(|entry| self.prune_one(entry, dry_run)).buffered(PARALLEL);
        let mut pruned = Pruned::default();
        for (id, bytes) in removed.collect::<Vec<_>>().await.into_iter().flatten() {
            pruned.ids.push(id);
            pruned.bytes += bytes;
        }
        if !dry_run {
            self.0.events.pruned(EventKind::Container, pruned.bytes);
        }
        Ok(pruned)
    }

    /// Ids of the containers that a prune with these filters would remove now.
    ///
    /// # Errors
    /// A filter is unknown or wrong.
    pub fn container_prunable(&self, filters: &Filters) -> Result<HashSet<String>> {
        Ok(self.prunable(filters)?.into_iter().map(|entry| entry.id.clone()).collect())
    }

    fn prunable(&self, filters: &Filters) -> Result<Vec<Arc<Entry>>> {
        filters.only(&["label", "label!", "until"])?;
        let until = filters.until()?;
        let wanted = |entry: &Arc<Entry>| {
            let container = entry.snapshot();
            at_rest(&container)
                && until.is_none_or(|until| container.created <= until)
                && filters.spares_not(&container.config.labels)
        };
        Ok(self.0.containers.all().into_iter().filter(wanted).collect())
    }

    /// Id and bytes; `None` = it stays, because it runs again or its removal fails.
    async fn prune_one(&self, entry: Arc<Entry>, dry_run: bool) -> Option<(String, u64)> {
        let (engine, container) = (Arc::clone(&self.0), entry.snapshot());
        let measured = blocking(move || taken(&engine, &container)).await;
        let removed = match (&measured, dry_run) {
            (Ok(_), false) => {
                entry.ask(|reply| Request::Remove { options: RemoveOptions::default(), reply }).await
            }
            _ => Ok(()),
        };
        match removed.and(measured) {
            Ok(taken) => Some((entry.id.clone(), taken.written + taken.logs)),
            Err(error) => {
                tracing::warn!(container = %entry.id, %error, "not pruned");
                None
            }
        }
    }
}

fn at_rest(container: &Container) -> bool {
    matches!(container.state.status(), Status::Created | Status::Exited | Status::Dead)
}
