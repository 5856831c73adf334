//! A tree that a step may change, without any change to the tree.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use ::build::graph::Copy;
use ::build::solve::Tree;
use ::build::{Error, Result, files};
use oci::Digest;
use sys::path::Root;

use super::Sight;
use crate::build::worker::{BuildWorker, because, decompress};
use crate::engine::Inner;

/// It goes with this value, and with a killed daemon at the next start: its name is no container's.
pub(super) struct Writable {
    engine: Arc<Inner>,
    id: String,
    below: Vec<Digest>,
}

fn failed(what: &str) -> impl Fn(store::Error) -> Error {
    move |error| Error::because(what, error)
}

impl Writable {
    /// Above layers, or a copy of files that are none; of those no more than what is at `wanted`. With its mount.
    pub(super) fn new(
        worker: &BuildWorker,
        tree: &Tree,
        wanted: &str,
        sight: Sight<'_>,
    ) -> Result<(Self, OwnedFd)> {
        let what = "make a tree that may be written to";
        let below = match tree {
            Tree::Layers(layers) => layers.clone(),
            Tree::Files(_) => Vec::new(),
        };
        let engine = Arc::clone(&worker.engine);
        let id = crate::id::random().map_err(because(what))?;
        let snapshot = engine.store.create_snapshot_on(&id, &below).map_err(failed(what))?;
        let copy = Self { engine, id, below };
        if let Tree::Files(_) = tree {
            // as we see them: the mount is gone before the step's is made
            let target = snapshot.mount().map_err(failed(what))?;
            let copy = Copy {
                source: if wanted.is_empty() { "/" } else { wanted }.to_owned(),
                target: format!("/{}", wanted.trim_start_matches('/')),
                follow_symlinks: true,
                contents_only: true,
                make_parents: true,
                ..Copy::default()
            };
            let source = worker.trees.open(tree)?;
            files::copy(&Root::in_root(target), &source, &copy, None, &decompress, &worker.cancel)?;
        }
        let snapshot = snapshot.labelled(sight.label);
        let mount = match sight.user {
            Some(user) => snapshot.mount_mapped(user.shown()),
            None => snapshot.mount(),
        };
        Ok((copy, mount.map_err(failed(what))?))
    }

    /// What it has become. Nobody has it mounted any more.
    pub(super) fn commit(&self, worker: &BuildWorker) -> Result<Tree> {
        let hold = self.engine.store.turn_into_layer(&self.id, &self.below, &[]);
        Ok(worker.trees.take(hold.map_err(failed("make a layer"))?))
    }
}

impl Drop for Writable {
    fn drop(&mut self) {
        if let Err(error) = self.engine.store.remove_snapshot(&self.id) {
            tracing::warn!(snapshot = %self.id, %error, "a step's copy of a tree stays until the next start");
        }
    }
}
