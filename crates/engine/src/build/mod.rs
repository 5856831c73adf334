//! Builds: `build`'s worker on the store, the network and the runtime; the classic builder's verb; the cache's prune.
//!
//! A step is a container that nobody lists: no record, its shim kills it with the connection to this daemon, and what
//! a killed daemon leaves of it (root file system, directory, addresses, cgroup) bears an id that no container has, and
//! so the start's sweep finds it. What finished steps have made stays, by the cache's index.

mod cache;
mod classic;
mod context;
mod contexts;
mod foreign;
mod image;
mod lent;
mod mounts;
mod output;
mod remote;
mod request;
mod secret;
mod settings;
mod source;
mod squash;
mod step;
mod stubs;
mod travel;
mod trees;
mod worker;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::build::cache::Index;
use ::build::solve::Solver;
use oci::Digest;
use sha2::{Digest as _, Sha256};
use store::{Hold, Stacks, Store};
use tokio::sync::Notify;

use crate::error::{Error, Result};
use crate::layout::Layout;

pub use cache::{CacheFilter, CacheLimits, CachePolicy, CachePruned, CacheRecord, CacheRule, CacheUsage};
pub(crate) use cache::{Home, collect_garbage};
pub use lent::Lent;
pub use output::{Annotations, Exported, Files, ImageExport};
pub use remote::{Attest, Built, DockerfileBuild, Place, RemoteBuild, RemoteBuilt, RemoteFailure, Work};
pub use request::{BuildNews, BuildRequest};
pub use store::{Form, OciLayout};
pub use travel::{CacheExport, CacheForm, CacheImport, CacheTarget};

/// What all builds of an engine share.
pub(crate) struct Builder {
    pub(crate) solver: Solver,
    /// Files from outside that stay for the next build.
    pub(crate) contexts: contexts::Contexts,
    /// Layers that the cache's records name, by the records' keys.
    held: Mutex<HashMap<String, Vec<Hold>>>,
    /// The cache may have grown too large.
    collect: Arc<Notify>,
    /// Held while records are taken away.
    collecting: Mutex<()>,
}

/// The index before there is a store, and the stacks that its records name.
pub(crate) struct Opened {
    index: Index,
    pub(crate) kept: Vec<Vec<Digest>>,
}

impl Builder {
    /// Opens the cache's index.
    ///
    /// # Errors
    /// The directory can't be read or made.
    pub(crate) fn open(layout: &Layout) -> Result<Opened> {
        let index = Index::open(&layout.build_cache()).map_err(failed)?;
        let records = index.all();
        let stacks = records.into_iter().flat_map(|(_, record)| record.outputs);
        Ok(Opened { kept: stacks.map(|(_, layers)| layers).collect(), index })
    }

    /// Holds what the records name; those whose layers are gone go, too.
    ///
    /// # Errors
    /// A file can't be removed.
    pub(crate) fn start(opened: Opened, store: &Store, layout: &Layout) -> Result<Self> {
        let mut held = HashMap::new();
        for (key, record) in opened.index.all() {
            let holds: Option<Vec<Hold>> =
                record.outputs.iter().map(|(_, layers)| store.hold(layers)).collect();
            match holds {
                Some(holds) => drop(held.insert(key, holds)),
                None => opened.index.remove(&key).map_err(failed)?,
            }
        }
        store.let_go_of_kept(&opened.kept)?;
        for former in layout.former_build_sources() {
            match std::fs::remove_dir_all(&former) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(path = %former.display(), %error, "what an earlier version has kept stays");
                }
                _ => {}
            }
        }
        let contexts = contexts::Contexts::default();
        contexts.sweep(layout);
        Ok(Self {
            solver: Solver::new(opened.index),
            contexts,
            held: Mutex::new(held),
            collect: Arc::default(),
            collecting: Mutex::default(),
        })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, Vec<Hold>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By how many records each stack is held.
    fn holders(&self) -> HashMap<String, usize> {
        let mut holders = HashMap::new();
        for hold in self.held().values().flatten() {
            *holders.entry(Stacks::name(hold.layers())).or_default() += 1;
        }
        holders
    }

    /// Takes a record away, and what it alone has kept.
    ///
    /// # Errors
    /// A file can't be removed.
    fn forget(&self, key: &str) -> Result<()> {
        self.solver.index().remove(key).map_err(failed)?;
        // let go of outside of the lock
        let before = self.held().remove(key);
        drop(before);
        Ok(())
    }

    /// A record names these layers from now on.
    fn keep(&self, key: &Digest, holds: Vec<Hold>) {
        // what was held for the former record is let go of outside of the lock
        let before = self.held().insert(key.hex().to_owned(), holds);
        drop(before);
    }
}

impl Drop for Builder {
    /// The next daemon goes on with the cache.
    fn drop(&mut self) {
        let held = self.held.get_mut().unwrap_or_else(PoisonError::into_inner);
        held.drain().flat_map(|(_, holds)| holds).for_each(Hold::leave);
        // who waits looks again, and finds that the engine is gone
        self.collect.notify_one();
    }
}

/// The digest of a file's bytes.
fn file_digest(path: &Path) -> io::Result<Digest> {
    let mut sum = Sha256::new();
    io::copy(&mut File::open(path)?, &mut sum)?;
    Ok(Digest::from_sha256(sum.finalize().into()))
}

/// The builder's failure as the engine's.
pub(crate) fn failed(error: ::build::Error) -> Error {
    match error {
        error @ ::build::Error::At { .. } => Error::bad_parameter(error.to_string()),
        ::build::Error::Invalid(text) => Error::bad_parameter(text),
        other => Error::system(other.to_string()),
    }
}
