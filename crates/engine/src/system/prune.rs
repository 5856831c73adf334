//! What prunes of all kinds share: one of a kind at a time, and the event at its end.

use tokio::sync::{Mutex, MutexGuard};

use crate::Engine;
use crate::error::{Error, Result};
use crate::events::EventKind;
use crate::filters::Filters;

/// Held while a prune runs.
#[derive(Debug, Default)]
pub(crate) struct Pruning {
    containers: Mutex<()>,
    images: Mutex<()>,
}

impl Pruning {
    /// The turn of a prune of containers.
    ///
    /// # Errors
    /// Another one runs.
    pub(crate) fn containers(&self) -> Result<MutexGuard<'_, ()>> {
        turn(&self.containers)
    }

    /// The turn of a prune of images.
    ///
    /// # Errors
    /// Another one runs.
    pub(crate) fn images(&self) -> Result<MutexGuard<'_, ()>> {
        turn(&self.images)
    }
}

fn turn(mutex: &Mutex<()>) -> Result<MutexGuard<'_, ()>> {
    mutex.try_lock().map_err(|_busy| Error::conflict("a prune operation is already running"))
}

/// Filters of the build cache's records.
const BUILD_FILTERS: [&str; 9] =
    ["description", "id", "inuse", "label", "parent", "private", "shared", "type", "until"];

impl Engine {
    /// Removes the build cache; gives the records' ids and the bytes that came free. There is no cache as long as
    /// there is no builder, so that nothing is ever removed.
    ///
    /// # Errors
    /// A filter is unknown or wrong.
    pub fn build_prune(&self, filters: &Filters, dry_run: bool) -> Result<(Vec<String>, u64)> {
        let known = filters.only(&BUILD_FILTERS).and_then(|()| filters.until());
        known.map_err(|error| error.context("failed to prune build cache"))?;
        if !dry_run {
            self.0.events.pruned(EventKind::Builder, 0);
        }
        Ok((Vec::new(), 0))
    }
}
