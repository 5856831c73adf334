//! Directories of clients' that stay for the next build, so that only what has changed travels.
//!
//! A directory is one build's until the build is over; another that comes meanwhile gets an empty one of its own. A
//! daemon that is killed leaves it half like the client's, which the next build makes good.

use std::collections::HashSet;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use oci::Digest;

use crate::error::{Error, Result};
use crate::layout::Layout;

/// Directories that are kept.
const MAX_KEPT: usize = 16;

/// Those that are in use, by their names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contexts(Arc<Mutex<HashSet<String>>>);

/// A directory's use by one build.
#[derive(Debug)]
pub(crate) struct InUse {
    contexts: Contexts,
    name: String,
    path: PathBuf,
}

impl Contexts {
    /// The directory of a client that says what its directories have in common; `None` if another build has it.
    ///
    /// # Errors
    /// The disk is full.
    pub(super) fn take(&self, layout: &Layout, shared_key: &str, dir: &str) -> Result<Option<InUse>> {
        let name = Digest::sha256(format!("{shared_key}\0{dir}").as_bytes()).hex().to_owned();
        if !self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone()) {
            return Ok(None);
        }
        let path = layout.build_contexts().join(&name);
        let taken = InUse { contexts: self.clone(), name, path };
        let failed = |error| Error::because(format!("create directory {}", taken.path.display()), error);
        DirBuilder::new().recursive(true).mode(0o700).create(&taken.path).map_err(failed)?;
        self.forget_old(layout);
        Ok(Some(taken))
    }

    /// Removes those that were not used for the longest time, but for so many.
    fn forget_old(&self, layout: &Layout) {
        let Ok(entries) = std::fs::read_dir(layout.build_contexts()) else { return };
        let mut all: Vec<(SystemTime, String)> = entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                Some((entry.metadata().ok()?.modified().ok()?, entry.file_name().into_string().ok()?))
            })
            .collect();
        all.sort();
        let old = all.len().saturating_sub(MAX_KEPT);
        for (_, name) in all.into_iter().take(old) {
            self.forget(layout, &name);
        }
    }

    fn forget(&self, layout: &Layout, name: &str) {
        // held, so that no build takes it meanwhile
        let in_use = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if in_use.contains(name) {
            return;
        }
        let path = layout.build_contexts().join(name);
        if let Err(error) = std::fs::remove_dir_all(&path) {
            tracing::warn!(path = %path.display(), %error, "a client's directory of an earlier build stays");
        }
    }
}

impl InUse {
    pub(super) fn path(&self) -> &std::path::Path {
        &self.path
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.contexts.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}
