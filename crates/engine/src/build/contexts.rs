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

use ::build::cache::Kind;
use jiff::Timestamp;
use oci::Digest;

use super::CacheRecord;
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

    /// What is kept, as records of the cache.
    ///
    /// # Errors
    /// A directory can't be read.
    pub(super) fn records(&self, layout: &Layout) -> Result<Vec<CacheRecord>> {
        let dir = layout.build_contexts();
        let failed = |error| Error::because(format!("read {}", dir.display()), error);
        let entries = match std::fs::read_dir(&dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut records = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            // one that another removes right now is no more
            let (Ok(id), Ok(metadata)) = (entry.file_name().into_string(), entry.metadata()) else {
                continue;
            };
            let moment = |time: std::io::Result<SystemTime>| {
                time.ok().and_then(|time| Timestamp::try_from(time).ok()).unwrap_or(Timestamp::UNIX_EPOCH)
            };
            let in_use = self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&id);
            let path = entry.path();
            let size = sys::usage::of(&path)
                .map_err(|error| Error::because(format!("measure {}", path.display()), error))?;
            records.push(CacheRecord {
                id,
                parents: Vec::new(),
                kind: Kind::SourceLocal,
                description: "local source of a client".to_owned(),
                in_use,
                shared: false,
                mutable: true,
                size,
                created: moment(metadata.created()),
                used: Some(moment(metadata.modified())),
                uses: 0,
            });
        }
        Ok(records)
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

    /// Removes one that no build has.
    pub(super) fn forget(&self, layout: &Layout, name: &str) {
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
