//! The last step: configs, stacks, images and names are made durable together, then moved to their places in
//! this order, and become visible.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci::{Digest, Image, Reference};

use crate::Result;
use crate::disk::{TmpDir, encode, sync_dir, sync_file_system, write_plain};
use crate::error::Context;
use crate::image::Progress;
use crate::state::{ImageEntry, ImageRecord, State, chain_name};
use crate::store::{Inner, now};

/// An image whose layers are in place.
#[derive(Debug)]
pub(crate) struct NewImage {
    pub(crate) image: Arc<Image>,
    pub(crate) names: Vec<Reference>,
    /// Keys of its layers, lowest first.
    pub(crate) keys: Vec<String>,
}

/// Files written below `tmp/`, and where they belong.
struct Batch {
    dir: TmpDir,
    moves: Vec<(PathBuf, PathBuf)>,
}

impl Batch {
    fn add(&mut self, to: PathBuf, bytes: &[u8]) -> Result<()> {
        let from = self.dir.path().join(self.moves.len().to_string());
        write_plain(&from, bytes)?;
        self.moves.push((from, to));
        Ok(())
    }

    /// Moves everything to its place, then makes the places durable.
    fn publish(self) -> Result<()> {
        for (from, to) in &self.moves {
            fs::rename(from, to).at("rename to", to)?;
        }
        let mut dirs: Vec<&Path> = self.moves.iter().filter_map(|(_, to)| to.parent()).collect();
        dirs.sort_unstable();
        dirs.dedup();
        dirs.into_iter().try_for_each(sync_dir)
    }
}

/// All of the images, or none.
pub(crate) fn commit_images(
    inner: &Inner,
    images: &[NewImage],
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<()> {
    let layout = &inner.layout;
    let record = ImageRecord { last_tagged: now() };
    let mut batch = Batch { dir: TmpDir::new(layout)?, moves: Vec::new() };
    // Also what is there already: it could be removed before the lock is taken.
    for new in images {
        batch.add(layout.chain(&chain_name(new.image.diff_ids())), &encode(&new.keys)?)?;
        batch.add(layout.blob(new.image.id()), new.image.raw())?;
        batch.add(layout.image(new.image.id()), &encode(&record)?)?;
    }
    // The long wait, while everybody else goes on.
    sync_file_system(layout.dir())?;
    let mut state = inner.lock();
    let (refs, moved) = renamed(&state, images);
    let unchanged = refs == state.refs;
    let name = |()| if unchanged { Ok(()) } else { state.set_refs(layout, refs) };
    if let Err(error) = batch.publish().and_then(name) {
        take_back(inner, &state, images);
        return Err(error);
    }
    for NewImage { image, keys, .. } in images {
        state.chains.insert(chain_name(image.diff_ids()), Arc::new(keys.clone()));
        let entry = ImageEntry { image: image.clone(), record: record.clone() };
        state.images.insert(image.id().clone(), entry);
    }
    drop(state);
    moved.into_iter().for_each(|(name, old)| progress(Progress::Renamed { name, old }));
    Ok(())
}

/// All names as they will be, and those that another image loses.
fn renamed(state: &State, images: &[NewImage]) -> (BTreeMap<Reference, Digest>, Vec<(Reference, Digest)>) {
    let mut refs = state.refs.clone();
    let mut moved = Vec::new();
    for new in images {
        for name in &new.names {
            let old = refs.insert(name.clone(), new.image.id().clone());
            moved.extend(old.filter(|old| old != new.image.id()).map(|old| (name.clone(), old)));
        }
    }
    (refs, moved)
}

/// Some files may be at their places already; names that lead nowhere are dropped by the next `open`.
fn take_back(inner: &Inner, state: &State, images: &[NewImage]) {
    for id in images.iter().map(|new| new.image.id()).filter(|id| !state.images.contains_key(id)) {
        for path in [inner.layout.image(id), inner.layout.blob(id)] {
            if let Err(error) = inner.trash.discard(&path) {
                tracing::warn!(path = %path.display(), %error, "a half-made image stays");
            }
        }
    }
}
