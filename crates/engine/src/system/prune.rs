//! What prunes of all kinds share: one of a kind at a time, and the event at its end.

use tokio::sync::{Mutex, MutexGuard};

use crate::error::{Error, Result};

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
