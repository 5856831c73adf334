//! Directories to work in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{GiveWay, TmpDir};
use crate::store::Inner;
use crate::{Result, Store};

/// A directory that goes with this value, and with a killed process at the next start. Nobody waits until it is
/// empty, and removing others gives way to it.
#[derive(Debug)]
pub struct Scratch {
    inner: Arc<Inner>,
    path: PathBuf,
    _first: GiveWay,
}

impl Store {
    /// An empty directory to work in, for nobody but the caller.
    ///
    /// # Errors
    /// [`Error::NoSpace`].
    pub fn scratch(&self) -> Result<Scratch> {
        let inner = Arc::clone(self.inner());
        // Its files lie far from those that were removed just now: see `state::open`.
        let path = TmpDir::new(&inner.layout)?.keep();
        Ok(Scratch { path, _first: inner.trash.give_way(), inner })
    }
}

impl Scratch {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = self.inner.trash.discard(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "a directory stays until the next start");
        }
    }
}
