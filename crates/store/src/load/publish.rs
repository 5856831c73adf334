//! From `tmp/` to their place: layers that an image wants.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci::{Digest, Image};

use super::archive::{self, Contents};
use super::commit::NewImage;
use super::job::{Fresh, unpack_here};
use super::wanted::Wanted;
use crate::build::Hold;
use crate::codec;
use crate::disk::{TmpDir, encode, sync_dir, sync_file_system, write_over};
use crate::error::Context;
use crate::layer::{self, LayerBlob, LayerRecord};
use crate::layout::layer as names;
use crate::state::{LayerEntry, Lease, State, chain_name};
use crate::store::Inner;
use crate::{Error, Result};

/// Who unpacks a blob.
pub(super) enum Claim {
    /// The store has it unpacked.
    Known,
    /// This operation.
    Ours,
    /// Another one, right now.
    Theirs,
}

/// Unpacked layers by diffID, and the digests of the blobs they came from.
pub(crate) type FreshLayers = HashMap<Digest, (Box<Fresh>, Vec<Digest>)>;

/// Brings layers into the store for one operation, and keeps them there until it ends.
#[derive(Debug)]
pub(crate) struct Publisher<'a> {
    pub(super) inner: &'a Arc<Inner>,
    lease: Lease,
    claims: Vec<Digest>,
    staged: Vec<Staged>,
}

/// A layer that is complete but for its move to its place.
#[derive(Debug)]
struct Staged {
    key: String,
    dir: TmpDir,
    record: LayerRecord,
    blobs: Vec<LayerBlob>,
}

impl<'a> Publisher<'a> {
    pub(crate) fn new(inner: &'a Arc<Inner>) -> Self {
        Self { inner, lease: Lease::new(inner), claims: Vec::new(), staged: Vec::new() }
    }

    /// Asks for a blob: two operations don't unpack the same one.
    pub(super) fn claim(&mut self, blob: &Digest) -> Claim {
        let mut state = self.inner.lock();
        if let Some(key) = state.layer_of_blob(blob) {
            self.lease.take(&mut state, &key);
            return Claim::Known;
        }
        if !self.inner.in_flight.insert(blob) {
            return Claim::Theirs;
        }
        self.claims.push(blob.clone());
        Claim::Ours
    }

    /// Puts all layers of the images in place.
    pub(super) fn layers(&mut self, wanted: Vec<Wanted>, mut contents: Contents) -> Result<Vec<NewImage>> {
        let limit = self.inner.limits.images;
        if wanted.len() > limit {
            return Err(Error::Limit { what: "number of images of the archive".into(), limit: limit as u64 });
        }
        let mut fresh = FreshLayers::new();
        let mut spooled = HashMap::new();
        for image in &wanted {
            for (name, diff_id) in image.layers.iter().zip(image.image.diff_ids()) {
                self.sort(name, diff_id, &mut contents, &mut fresh, &mut spooled)?;
            }
        }
        drop(contents);
        self.publish_plain(&mut fresh)?;
        self.release();
        self.unspool(spooled, &mut fresh)?;
        self.publish_plain(&mut fresh)?;
        wanted.into_iter().map(|image| self.stack(image, &mut fresh)).collect()
    }

    /// Puts one layer that belongs at the bottom in place: an import.
    pub(crate) fn lowest(&mut self, layer: Fresh) -> Result<(Digest, u64)> {
        let diff_id = layer.diff_id.clone().ok_or_else(|| Error::Archive("layer without a digest".into()))?;
        let size = layer.unpacked.size;
        let mut fresh = FreshLayers::from([(diff_id.clone(), (Box::new(layer), Vec::new()))]);
        self.publish_plain(&mut fresh)?;
        self.place(&diff_id, &diff_id, 0, &[], &mut fresh)?;
        Ok((diff_id, size))
    }

    /// Puts a layer on top of others, whose keys are `below`: a commit. `diff_ids` are theirs, lowest first.
    pub(crate) fn above(
        &mut self,
        below: &[String],
        diff_ids: &[Digest],
        layer: Fresh,
    ) -> Result<(Digest, String)> {
        let diff_id = layer.diff_id.clone().ok_or_else(|| Error::Archive("layer without a digest".into()))?;
        let mut all = diff_ids.to_vec();
        all.push(diff_id.clone());
        let chains = oci::chain::ids(&all);
        let chain = chains.last().ok_or_else(|| Error::Archive("layer without a chain".into()))?;
        let mut fresh = FreshLayers::from([(diff_id.clone(), (Box::new(layer), Vec::new()))]);
        self.publish_plain(&mut fresh)?;
        let key = self.place(&diff_id, chain, diff_ids.len(), below, &mut fresh)?;
        Ok((diff_id, key))
    }

    /// The same without a wait for the disk: the layer and the stack it makes count only until the machine stops, or
    /// an image has them. Holds the stack.
    pub(crate) fn above_unsynced(
        &mut self,
        below: &[String],
        diff_ids: &[Digest],
        layer: Fresh,
    ) -> Result<Hold> {
        let diff_id = layer.diff_id.clone().ok_or_else(|| Error::Archive("layer without a digest".into()))?;
        let mut fresh = FreshLayers::from([(diff_id.clone(), (Box::new(layer), Vec::new()))]);
        let mut all = diff_ids.to_vec();
        all.push(diff_id);
        self.stack_unsynced(&all, below, &mut fresh)
    }

    /// Makes the stack of these layers, of which the lowest `below` are known by their keys, and holds it.
    pub(crate) fn stack_unsynced(
        &mut self,
        diff_ids: &[Digest],
        below: &[String],
        fresh: &mut FreshLayers,
    ) -> Result<Hold> {
        let chain = oci::chain::ids(diff_ids);
        let mut keys = below.to_vec();
        for (position, (diff_id, chain)) in diff_ids.iter().zip(&chain).enumerate().skip(below.len()) {
            let key = self.place(diff_id, chain, position, &keys, fresh)?;
            keys.push(key);
        }
        for staged in &self.staged {
            write_over(&staged.dir.path().join(names::UNSYNCED), self.inner.boot.as_bytes())?;
        }
        let name = chain_name(diff_ids);
        let dir = TmpDir::new(&self.inner.layout)?;
        let file = dir.path().join("chain");
        write_over(&file, &encode(&keys)?)?;
        let mut state = self.inner.lock();
        self.move_staged(&mut state)?;
        let to = self.inner.layout.chain(&name);
        if let Entry::Vacant(place) = state.chains.entry(name) {
            std::fs::rename(&file, &to).at("rename to", &to)?;
            place.insert(Arc::new(keys));
        }
        // Under the same lock: a lease keeps layers and no stacks, and whoever prunes next would remove this one.
        Ok(Hold::new(self.inner, &mut state, diff_ids))
    }

    /// Keeps layers that are in place until this operation ends.
    pub(crate) fn hold(&mut self, keys: &[String]) {
        let mut state = self.inner.lock();
        keys.iter().for_each(|key| self.lease.take(&mut state, key));
    }

    /// Takes a wanted layer out of the archive's contents and checks that it is the one that the config names.
    fn sort(
        &mut self,
        name: &str,
        diff_id: &Digest,
        contents: &mut Contents,
        fresh: &mut FreshLayers,
        spooled: &mut HashMap<Digest, (TmpDir, PathBuf, Digest)>,
    ) -> Result<()> {
        let mismatch = |actual: Digest| Error::DigestMismatch {
            what: format!("layer {name}: wrong diffID"),
            expected: diff_id.clone(),
            actual,
        };
        if fresh.contains_key(diff_id) || spooled.contains_key(diff_id) {
            return Ok(());
        }
        match contents.layers.remove(name) {
            Some((_, archive::LayerBlob::Failed(error))) => Err(error),
            Some((blob, archive::LayerBlob::Fresh(layer))) => {
                let actual = layer.diff_id.clone().unwrap_or_else(|| blob.clone());
                if actual != *diff_id {
                    return Err(mismatch(actual));
                }
                fresh.insert(actual, (layer, vec![blob]));
                Ok(())
            }
            Some((blob, archive::LayerBlob::Spooled(dir, path))) => {
                spooled.insert(diff_id.clone(), (dir, path, blob));
                Ok(())
            }
            Some((blob, archive::LayerBlob::Known)) => {
                let mut state = self.inner.lock();
                let key = state.layer_of_blob(&blob);
                let actual = key.as_ref().and_then(|key| Some(state.layers.get(key)?.record.diff_id.clone()));
                match (key, actual) {
                    (Some(key), Some(actual)) if actual == *diff_id => self.lease.take(&mut state, &key),
                    (_, actual) => return Err(mismatch(actual.unwrap_or(blob))),
                }
                // Another image may name the same file.
                contents.layers.insert(name.to_owned(), (blob, archive::LayerBlob::Known));
                Ok(())
            }
            None => {
                // Docker leaves out a layer that the receiver has; a second image's was taken already.
                let mut state = self.inner.lock();
                let key = state.any_layer(diff_id);
                let key = key.ok_or_else(|| Error::Archive(format!("layer {name} is missing")))?;
                self.lease.take(&mut state, &key);
                Ok(())
            }
        }
    }

    /// Layers that depend on nothing below go to their place at once, made durable together.
    fn publish_plain(&mut self, fresh: &mut FreshLayers) -> Result<()> {
        let plain: Vec<Digest> = fresh
            .iter()
            .filter(|(_, (layer, _))| layer.unpacked.implied.is_empty())
            .map(|(id, _)| id.clone())
            .collect();
        for diff_id in plain {
            if let Some((layer, blobs)) = fresh.remove(&diff_id) {
                let record = record(&layer, diff_id.clone(), blobs);
                self.stage(diff_id.hex().to_owned(), layer.dir, record, Vec::new())?;
            }
        }
        if self.staged.is_empty() {
            return Ok(());
        }
        sync_file_system(self.inner.layout.dir())?;
        let mut state = self.inner.lock();
        self.move_staged(&mut state)?;
        drop(state);
        sync_dir(&self.inner.layout.layers())
    }

    /// Completes a layer's directory. It moves to its place when everything was synchronised.
    fn stage(&mut self, key: String, dir: TmpDir, record: LayerRecord, blobs: Vec<LayerBlob>) -> Result<()> {
        write_over(&dir.path().join(names::RECORD), &encode(&record)?)?;
        self.staged.push(Staged { key, dir, record, blobs });
        Ok(())
    }

    /// Moves complete layers to their places; the caller has synchronised them. Says whether there were any.
    pub(super) fn move_staged(&mut self, state: &mut State) -> Result<bool> {
        let some = !self.staged.is_empty();
        for Staged { key, dir, record, blobs } in self.staged.drain(..) {
            let to = self.inner.layout.layer(&key);
            let waited = self.inner.layout.pulled_layer(&self.inner.boot, &record.diff_id);
            let from_pull = dir.path() == waited;
            if !state.layers.contains_key(&key) {
                dir.publish(&to)?;
                let record = Arc::new(record.clone());
                let unsynced = to.join(names::UNSYNCED).exists();
                let entry = LayerEntry { record, blobs, leases: 0, inherited: 0, unsynced };
                state.layers.insert(key.clone(), entry);
            }
            if from_pull {
                let pulled = state.pulled.remove(&record.diff_id);
                if let (Some(pulled), Some(layer)) = (pulled, state.layers.get_mut(&key)) {
                    layer.inherited += pulled.leases;
                }
                self.inner.trash.discard(&waited)?;
                // Not before: without it, a process that is killed in between would lose the layer.
                let _ = std::fs::remove_file(to.join(names::UNPACKED));
            }
            self.lease.take(state, &key);
        }
        Ok(some)
    }

    /// Stages the layers of an image that are all here, in their places or waiting; their keys, lowest first.
    pub(crate) fn pulled(&mut self, image: &Arc<Image>) -> Result<Vec<String>> {
        let mut fresh = FreshLayers::new();
        let mut blobs = HashMap::new();
        let state = self.inner.lock();
        for diff_id in image.diff_ids() {
            let Some(entry) = state.pulled.get(diff_id) else { continue };
            let dir = TmpDir::waiting(self.inner.layout.pulled_layer(&self.inner.boot, diff_id));
            let layer = Fresh { dir, unpacked: entry.unpacked.clone(), diff_id: Some(diff_id.clone()) };
            fresh.insert(diff_id.clone(), (Box::new(layer), Vec::new()));
            blobs.insert(diff_id.clone(), entry.blobs.clone());
        }
        drop(state);
        let wanted = Wanted { image: image.clone(), names: Vec::new(), layers: Vec::new() };
        let image = self.stack(wanted, &mut fresh)?;
        for staged in &mut self.staged {
            staged.blobs = blobs.get(&staged.record.diff_id).cloned().unwrap_or_default();
        }
        Ok(image.keys)
    }

    /// Whoever waits for these blobs may go on.
    fn release(&mut self) {
        for blob in self.claims.drain(..) {
            self.inner.in_flight.remove(&blob);
        }
    }

    /// Waits for those who unpack the same blobs; unpacks what they failed to.
    fn unspool(
        &mut self,
        spooled: HashMap<Digest, (TmpDir, PathBuf, Digest)>,
        fresh: &mut FreshLayers,
    ) -> Result<()> {
        for (diff_id, (_dir, path, blob)) in spooled {
            self.inner.in_flight.wait(&blob);
            let mut state = self.inner.lock();
            if let Some(key) = state.any_layer(&diff_id) {
                self.lease.take(&mut state, &key);
                continue;
            }
            drop(state);
            let layer = self.unpack_file(&path)?;
            match &layer.diff_id {
                Some(actual) if *actual == diff_id => {}
                actual => {
                    let actual = actual.clone().unwrap_or(blob);
                    return Err(Error::DigestMismatch {
                        what: "wrong diffID".into(),
                        expected: diff_id,
                        actual,
                    });
                }
            }
            fresh.insert(diff_id, (Box::new(layer), vec![blob]));
        }
        Ok(())
    }

    fn unpack_file(&self, path: &Path) -> Result<Fresh> {
        let file = File::open(path).at("open", path)?;
        let (start, input) = codec::peek(file, 8).at("read", path)?;
        let input = codec::decoder(codec::detect(&start), BufReader::new(input))?;
        unpack_here(input, TmpDir::new(&self.inner.layout)?, self.inner.limits, self.inner.umask)
    }

    /// Finds or makes each layer of an image, from the lowest up.
    fn stack(&mut self, image: Wanted, fresh: &mut FreshLayers) -> Result<NewImage> {
        let diff_ids = image.image.diff_ids();
        let chain = oci::chain::ids(diff_ids);
        let mut keys: Vec<String> = Vec::with_capacity(diff_ids.len());
        for (position, (diff_id, chain)) in diff_ids.iter().zip(&chain).enumerate() {
            let key = self.place(diff_id, chain, position, &keys, fresh)?;
            keys.push(key);
        }
        Ok(NewImage { image: image.image, names: image.names, keys, kept: None })
    }

    /// The key of the layer for this place of a stack; `below` are the keys below it, lowest first.
    fn place(
        &mut self,
        diff_id: &Digest,
        chain: &Digest,
        position: usize,
        below: &[String],
        fresh: &mut FreshLayers,
    ) -> Result<String> {
        let mut state = self.inner.lock();
        if let Some(key) = state.find_layer(diff_id, chain, position) {
            self.lease.take(&mut state, &key);
            return Ok(key);
        }
        let fits = |staged: &&Staged| {
            let key = if staged.record.implied { chain.hex() } else { diff_id.hex() };
            staged.record.diff_id == *diff_id && staged.key == key
        };
        if let Some(staged) = self.staged.iter().find(fits) {
            return Ok(staged.key.clone());
        }
        let staged = self.staged.iter().find(|staged| staged.record.diff_id == *diff_id);
        let other = state.any_layer(diff_id).or_else(|| staged.map(|staged| staged.key.clone()));
        // It may be another one than who began with this image has kept.
        other.iter().for_each(|key| self.lease.take(&mut state, key));
        drop(state);
        let (layer, blobs) = match (fresh.remove(diff_id), other) {
            (Some((layer, blobs)), _) => (layer, blobs),
            (None, Some(key)) => (Box::new(self.unpack_again(&key)?), Vec::new()),
            (None, None) => return Err(Error::Damaged(format!("layer {diff_id} has disappeared"))),
        };
        let diffs: Vec<PathBuf> = below.iter().rev().map(|key| self.dir_of(key).join(names::DIFF)).collect();
        layer::settle(layer.dir.path(), &layer.unpacked.implied, &diffs)?;
        let record = record(&layer, diff_id.clone(), blobs);
        let key = if record.implied { chain.hex() } else { diff_id.hex() }.to_owned();
        self.stage(key.clone(), layer.dir, record, Vec::new())?;
        Ok(key)
    }

    /// Where a layer is right now.
    fn dir_of(&self, key: &str) -> PathBuf {
        let staged = self.staged.iter().find(|staged| staged.key == key);
        staged.map_or_else(|| self.inner.layout.layer(key), |staged| staged.dir.path().to_owned())
    }

    /// The same tar on top of other layers: from the recipe of the one that is there.
    fn unpack_again(&self, key: &str) -> Result<Fresh> {
        let (writer, reader) = super::chunks();
        let dir = self.dir_of(key);
        std::thread::scope(|scope| {
            let sender = scope.spawn(move || layer::assemble(&dir, writer));
            let tmp = TmpDir::new(&self.inner.layout)?;
            let unpacked = unpack_here(reader, tmp, self.inner.limits, self.inner.umask);
            let sent = sender.join().unwrap_or_else(|_panic| Err(Error::Damaged("a thread failed".into())));
            sent.and(unpacked)
        })
    }
}

impl Drop for Publisher<'_> {
    fn drop(&mut self) {
        self.release();
    }
}

fn record(layer: &Fresh, diff_id: Digest, mut blobs: Vec<Digest>) -> LayerRecord {
    let unpacked = &layer.unpacked;
    blobs.retain(|blob| *blob != diff_id);
    LayerRecord {
        diff_id,
        tar_size: unpacked.tar_size,
        size: unpacked.size,
        implied: !unpacked.implied.is_empty(),
        root: unpacked.root,
        opaque_root: unpacked.opaque_root,
        blobs,
    }
}
