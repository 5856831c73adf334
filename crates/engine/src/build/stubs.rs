//! Places that a step's mounts need in its root, and that are no change of the step's.

use std::path::PathBuf;

use ::build::solve::Tree;
use ::build::{Error, Result};
use oci::Digest;

use super::worker::BuildWorker;

/// Places for mounts that the runtime makes in the root, and that are no change of the step's.
pub(super) struct Stubs(Vec<PathBuf>);

impl Stubs {
    /// Which places are not there yet, the ones above them included.
    pub(super) fn before(worker: &BuildWorker, below: &[Digest], places: &[String]) -> Result<Self> {
        let mut missing = Vec::new();
        if places.is_empty() {
            return Ok(Self(missing));
        }
        let root = worker.trees.open(&Tree::Layers(below.to_vec()))?;
        for place in places {
            // where the runtime will make it, whatever links lead there
            let place = root.evaluate(place).map_err(|error| Error::path(place, error))?;
            let mut path = PathBuf::from("/");
            for name in place.components().skip(1) {
                path.push(name);
                if root.lstat(&path).is_err() && !missing.contains(&path) {
                    missing.push(path.clone());
                }
            }
        }
        Ok(Self(missing))
    }

    /// Takes away those that are still empty, beneath the root alone.
    pub(super) fn remove(&self, worker: &BuildWorker, id: &str) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let failed = |error| Error::because("remove places of mounts", error);
        let snapshot = worker.engine.store.snapshot(id).map_err(failed)?;
        let root = sys::path::Root::in_root(snapshot.mount().map_err(failed)?);
        for place in self.0.iter().rev() {
            // what the step has put there stays, and so does what has become of it
            match root.lstat(place) {
                Ok(stat) if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir() => {
                    let _ = root.remove_dir(place);
                }
                Ok(stat)
                    if stat.st_size == 0 && rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file() =>
                {
                    let _ = root.remove_file(place);
                }
                _ => {}
            }
        }
        Ok(())
    }
}
