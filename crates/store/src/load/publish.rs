//! From `tmp/` to their place: layers that an image wants.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci::Digest;

use super::archive::{Contents, LayerBlob};
use super::commit::NewImage;
use super::job::{Fresh, unpack_here};
use super::wanted::Wanted;
use crate::codec;
use crate::disk::{TmpDir, encode, sync_dir, sync_file_system, write_plain};
use crate::error::Context;
use crate::layer::{self, LayerRecord};
use crate::layout::layer as names;
use crate::state::{LayerEntry, Lease};
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
type FreshLayers = HashMap<Digest, (Box<Fresh>, Vec<Digest>)>;

/// Brings layers into the store for one operation, and keeps them there until it ends.
#[derive(Debug)]
pub(crate) struct Publisher<'a> {
    inner: &'a Inner,
    lease: Lease<'a>,
    claims: Vec<Digest>,
}

impl<'a> Publisher<'a> {
    pub(crate) fn new(inner: &'a Inner) -> Self {
        Self { inner, lease: Lease::new(inner), claims: Vec::new() }
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
            Some((_, LayerBlob::Failed(error))) => Err(error),
            Some((blob, LayerBlob::Fresh(layer))) => {
                let actual = layer.diff_id.clone().unwrap_or_else(|| blob.clone());
                if actual != *diff_id {
                    return Err(mismatch(actual));
                }
                fresh.insert(actual, (layer, vec![blob]));
                Ok(())
            }
            Some((blob, LayerBlob::Spooled(dir, path))) => {
                spooled.insert(diff_id.clone(), (dir, path, blob));
                Ok(())
            }
            Some((blob, LayerBlob::Known)) => {
                let mut state = self.inner.lock();
                let key = state.layer_of_blob(&blob);
                let actual = key.as_ref().and_then(|key| Some(state.layers.get(key)?.record.diff_id.clone()));
                match (key, actual) {
                    (Some(key), Some(actual)) if actual == *diff_id => self.lease.take(&mut state, &key),
                    (_, actual) => return Err(mismatch(actual.unwrap_or(blob))),
                }
                // Another image may name the same file.
                contents.layers.insert(name.to_owned(), (blob, LayerBlob::Known));
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
        let mut ready = Vec::new();
        for diff_id in plain {
            if let Some((layer, blobs)) = fresh.remove(&diff_id) {
                let record = record(&layer, diff_id.clone(), blobs);
                ready.push((diff_id.hex().to_owned(), layer.dir, record));
            }
        }
        self.publish(ready)
    }

    fn publish(&mut self, ready: Vec<(String, TmpDir, LayerRecord)>) -> Result<()> {
        if ready.is_empty() {
            return Ok(());
        }
        for (_, dir, record) in &ready {
            write_plain(&dir.path().join(names::RECORD), &encode(record)?)?;
        }
        sync_file_system(self.inner.layout.dir())?;
        let mut state = self.inner.lock();
        for (key, dir, record) in ready {
            if !state.layers.contains_key(&key) {
                dir.publish(&self.inner.layout.layer(&key))?;
                state.layers.insert(key.clone(), LayerEntry { record: Arc::new(record), leases: 0 });
            }
            self.lease.take(&mut state, &key);
        }
        drop(state);
        sync_dir(&self.inner.layout.layers())
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
        Ok(NewImage { image: image.image, names: image.names, keys })
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
        let other = state.any_layer(diff_id);
        drop(state);
        let (layer, blobs) = match (fresh.remove(diff_id), other) {
            (Some((layer, blobs)), _) => (layer, blobs),
            (None, Some(key)) => (Box::new(self.unpack_again(&key)?), Vec::new()),
            (None, None) => return Err(Error::Damaged(format!("layer {diff_id} has disappeared"))),
        };
        let diffs: Vec<PathBuf> =
            below.iter().rev().map(|key| self.inner.layout.layer(key).join(names::DIFF)).collect();
        layer::settle(layer.dir.path(), &layer.unpacked.implied, &diffs)?;
        let record = record(&layer, diff_id.clone(), blobs);
        let key = if record.implied { chain.hex() } else { diff_id.hex() }.to_owned();
        self.publish(vec![(key.clone(), layer.dir, record)])?;
        Ok(key)
    }

    /// The same tar on top of other layers: from the recipe of the one that is there.
    fn unpack_again(&self, key: &str) -> Result<Fresh> {
        let (writer, reader) = super::chunks();
        let dir = self.inner.layout.layer(key);
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
