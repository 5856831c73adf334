//! The last step: configs, stacks, images and names are made durable together, then moved to their places in
//! this order, and become visible.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci::{Digest, Image, Reference};

use super::publish::Publisher;
use crate::disk::{TmpDir, encode, sync_dir, sync_file_system, write_over, write_plain};
use crate::error::Context;
use crate::image::{KeptManifest, Progress, manifests};
use crate::layer::LayerBlob;
use crate::layout::{Layout, layer as names};
use crate::state::{ImageEntry, ImageRecord, StagedRefs, State, chain_name};
use crate::store::{Inner, now};
use crate::{Error, Result};

/// An image whose layers are in place.
#[derive(Debug)]
pub(crate) struct NewImage {
    pub(crate) image: Arc<Image>,
    pub(crate) names: Vec<Reference>,
    /// Keys of its layers, lowest first.
    pub(crate) keys: Vec<String>,
    /// What a registry knows of it.
    pub(crate) kept: Option<Kept>,
}

/// What a registry knows of an image.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) manifest: KeptManifest,
    /// The manifest, indexes and attestations.
    pub(crate) documents: Vec<(Digest, Vec<u8>)>,
    /// The blob of each layer. Only what was seen to be one is believed.
    pub(crate) blobs: Vec<(Digest, LayerBlob)>,
}

/// What the file of all names is called until it is in its place.
const NAMES: &str = "names";

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

    /// The records of images. Says where each is among the moves.
    fn records(
        &mut self,
        layout: &Layout,
        images: &[NewImage],
        records: &[ImageRecord],
    ) -> Result<Vec<usize>> {
        let mut positions = Vec::with_capacity(images.len());
        for (new, record) in images.iter().zip(records) {
            positions.push(self.moves.len());
            self.add(layout.image(new.image.id()), &encode(record)?)?;
        }
        Ok(positions)
    }

    /// Replaces records that are written already, durably.
    fn rewrite(&self, positions: &[usize], records: &[ImageRecord]) -> Result<()> {
        for (position, record) in positions.iter().zip(records) {
            if let Some((from, _)) = self.moves.get(*position) {
                write_over(from, &encode(record)?)?;
            }
        }
        sync_file_system(self.dir.path())
    }

    /// All names as they will be, if they change and nobody else changes them meanwhile: written now, they wait for the
    /// disk together with everything else.
    fn names(&self, state: &State, images: &[NewImage]) -> Result<Option<StagedRefs>> {
        let (refs, _) = renamed(state, images);
        if refs == state.refs {
            return Ok(None);
        }
        StagedRefs::write(self.dir.path().join(NAMES), refs).map(Some)
    }

    /// Moves everything to its place, then makes the places durable.
    fn publish(&self) -> Result<()> {
        for (from, to) in &self.moves {
            fs::rename(from, to).at("rename to", to)?;
        }
        let mut dirs: Vec<&Path> = self.moves.iter().filter_map(|(_, to)| to.parent()).collect();
        dirs.sort_unstable();
        dirs.dedup();
        dirs.into_iter().try_for_each(sync_dir)
    }
}

/// All of the images, or none. Their layers are in place, or staged.
pub(crate) fn commit_images(
    publisher: &mut Publisher<'_>,
    images: &[NewImage],
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<()> {
    let inner = publisher.inner;
    let layout = &inner.layout;
    let mut batch = Batch { dir: TmpDir::new(layout)?, moves: Vec::new() };
    // Also what is there already: it could be removed before the lock is taken.
    for new in images {
        batch.add(layout.chain(&chain_name(new.image.diff_ids())), &encode(&new.keys)?)?;
        batch.add(layout.blob(new.image.id()), new.image.raw())?;
        for (digest, bytes) in new.kept.iter().flat_map(|kept| &kept.documents) {
            batch.add(layout.blob(digest), bytes)?;
        }
    }
    let planned = records(&inner.lock(), images);
    let record_files = batch.records(layout, images, &planned)?;
    let staged = batch.names(&inner.lock(), images)?;
    let mut state = loop {
        let loose = unsynced(&inner.lock(), images);
        // The long wait, while everybody else goes on.
        sync_file_system(layout.dir())?;
        settle_unsynced(inner, &loose)?;
        let state = inner.lock();
        // A build may have made one of the layers that are staged here, and has not synchronised it.
        if unsynced(&state, images).is_empty() {
            break state;
        }
    };
    let records = records(&state, images);
    if !same_manifests(&records, &planned) {
        // Another pull of the same image was faster, or it was removed.
        batch.rewrite(&record_files, &records)?;
    }
    let (refs, moved) = renamed(&state, images);
    let unchanged = refs == state.refs;
    let placed = publisher.move_staged(&mut state);
    let placed = placed.and_then(|some| if some { sync_dir(&layout.layers()) } else { Ok(()) });
    let name = |()| match staged {
        _ if unchanged => Ok(()),
        Some(staged) if *staged.refs() == refs => state.place_refs(layout, staged),
        _ => state.set_refs(layout, refs),
    };
    if let Err(error) = placed.and_then(|()| batch.publish()).and_then(name) {
        take_back(inner, &state, images);
        return Err(error);
    }
    for (NewImage { image, keys, kept, .. }, record) in images.iter().zip(records) {
        state.chains.insert(chain_name(image.diff_ids()), Arc::new(keys.clone()));
        let entry = ImageEntry { image: image.clone(), record };
        state.images.insert(image.id().clone(), entry);
        note_seen(inner, &mut state, kept.as_ref());
    }
    drop(state);
    moved.into_iter().for_each(|(name, old)| progress(Progress::Renamed { name, old }));
    Ok(())
}

/// Layers of the images that builds have made and nobody has synchronised.
fn unsynced(state: &State, images: &[NewImage]) -> Vec<String> {
    let loose = |key: &&String| state.layers.get(*key).is_some_and(|layer| layer.unsynced);
    images.iter().flat_map(|new| &new.keys).filter(loose).cloned().collect()
}

/// They are synchronised now: from here on they outlive the machine's stop.
fn settle_unsynced(inner: &Inner, keys: &[String]) -> Result<()> {
    for key in keys {
        let dir = inner.layout.layer(key);
        match fs::remove_file(dir.join(names::UNSYNCED)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io(format!("settle layer {key}"), error));
            }
            _ => sync_dir(&dir)?,
        }
    }
    let mut state = inner.lock();
    for key in keys {
        if let Some(layer) = state.layers.get_mut(key) {
            layer.unsynced = false;
        }
    }
    Ok(())
}

/// The images' records as they will be: manifests that are known stay.
fn records(state: &State, images: &[NewImage]) -> Vec<ImageRecord> {
    let now = now();
    let record = |new: &NewImage| {
        let old = state.images.get(new.image.id());
        let tagged = new.kept.is_none() || new.names.iter().any(|name| name.tag().is_some());
        let last_tagged = old.filter(|_| !tagged).map_or(now, |entry| entry.record.last_tagged);
        let mut manifests = old.map(|entry| entry.record.manifests.clone()).unwrap_or_default();
        if let Some(kept) = &new.kept {
            manifests::add(&mut manifests, kept.manifest.clone());
        }
        ImageRecord { last_tagged, manifests }
    };
    images.iter().map(record).collect()
}

fn same_manifests(a: &[ImageRecord], b: &[ImageRecord]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.manifests == b.manifests)
}

/// Layers that were here already are in one more repository. That only spares work, and so a failure is no failure.
fn note_seen(inner: &Inner, state: &mut State, kept: Option<&Kept>) {
    for (diff_id, blob) in kept.iter().flat_map(|kept| &kept.blobs) {
        if let Err(error) = state.note_blob(inner, diff_id, blob, true) {
            tracing::warn!(%error, layer = %diff_id, "where a layer was seen is forgotten");
        }
    }
}

/// All names as they will be, and those that another image loses.
fn renamed(state: &State, images: &[NewImage]) -> (BTreeMap<Reference, Digest>, Vec<(Reference, Digest)>) {
    let mut refs = state.refs.clone();
    let mut moved = Vec::new();
    for new in images {
        moved.extend(rename(&mut refs, &new.names, new.image.id()));
    }
    (refs, moved)
}

/// Gives names to an image. Those that another one loses, and which.
pub(crate) fn rename(
    refs: &mut BTreeMap<Reference, Digest>,
    names: &[Reference],
    id: &Digest,
) -> Vec<(Reference, Digest)> {
    let give = |name: &Reference| Some((name.clone(), refs.insert(name.clone(), id.clone())?));
    names.iter().filter_map(give).filter(|(_, old)| old != id).collect()
}

/// Some files may be at their places already; names that lead nowhere are dropped by the next `open`.
fn take_back(inner: &Inner, state: &State, images: &[NewImage]) {
    let documents = images.iter().filter_map(|new| new.kept.as_ref()).flat_map(|kept| &kept.documents);
    let documents = documents.map(|(digest, _)| digest.clone());
    if let Err(error) = manifests::discard_unused(state, &inner.layout, &inner.trash, documents) {
        tracing::warn!(%error, "a manifest stays until the next start");
    }
    for id in images.iter().map(|new| new.image.id()).filter(|id| !state.images.contains_key(id)) {
        for path in [inner.layout.image(id), inner.layout.blob(id)] {
            if let Err(error) = inner.trash.discard(&path) {
                tracing::warn!(path = %path.display(), %error, "a half-made image stays");
            }
        }
    }
}
