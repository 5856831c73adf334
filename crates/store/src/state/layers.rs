//! Which layers are needed, by whom.

use std::collections::HashSet;
use std::sync::Arc;

use oci::Digest;

use super::State;
use crate::Result;
use crate::disk::{GiveWay, Trash, encode, write_durable};
use crate::layer::{LayerBlob, blobs};
use crate::layout::{Layout, layer as names};
use crate::store::Inner;

impl State {
    /// A layer with this diffID that can lie at `position` (0 = lowest) of the stack whose name up to there is
    /// `chain`.
    pub(crate) fn find_layer(&self, diff_id: &Digest, chain: &Digest, position: usize) -> Option<String> {
        let usable = |key: &str| {
            let record = &self.layers.get(key)?.record;
            let fits = record.diff_id == *diff_id && (!record.implied || key == chain.hex());
            (fits && (position == 0 || key == chain.hex() || !record.implied)).then(|| key.to_owned())
        };
        usable(diff_id.hex()).or_else(|| usable(chain.hex()))
    }

    /// Any layer with this diffID, whatever stack it belongs to.
    pub(crate) fn any_layer(&self, diff_id: &Digest) -> Option<String> {
        if self.layers.contains_key(diff_id.hex()) {
            return Some(diff_id.hex().to_owned());
        }
        self.layers.iter().find(|(_, layer)| layer.record.diff_id == *diff_id).map(|(key, _)| key.clone())
    }

    /// Any layer that this blob unpacks to.
    pub(crate) fn layer_of_blob(&self, blob: &Digest) -> Option<String> {
        let made_of = |layer: &super::LayerEntry| {
            layer.record.blobs.contains(blob) || layer.blobs.iter().any(|known| known.digest == *blob)
        };
        self.any_layer(blob)
            .or_else(|| self.layers.iter().find(|(_, layer)| made_of(layer)).map(|(key, _)| key.clone()))
    }
}

impl State {
    /// Notes a blob of a layer, or where it was seen: durable when this returns. With `only_known`, only when it is
    /// one of the layer's blobs already.
    pub(crate) fn note_blob(
        &mut self,
        inner: &Inner,
        diff_id: &Digest,
        blob: &LayerBlob,
        only_known: bool,
    ) -> Result<()> {
        let mine = self.layers.iter_mut().filter(|(_, layer)| layer.record.diff_id == *diff_id);
        for (key, layer) in mine {
            let mut all = layer.blobs.clone();
            let known = layer.blobs.iter().any(|known| known.digest == blob.digest);
            if (known || !only_known) && blobs::add(&mut all, blob) {
                let path = inner.layout.layer(key).join(names::BLOBS);
                write_durable(&inner.layout, &path, &encode(&all)?)?;
                inner.measured.forget(key);
                layer.blobs = all;
            }
        }
        Ok(())
    }
}

impl State {
    /// Is this blob unpacked, in its place or waiting for its image?
    pub(crate) fn has_blob(&self, blob: &Digest) -> bool {
        let is = |known: &LayerBlob| known.digest == *blob;
        self.layer_of_blob(blob).is_some() || self.pulled.values().any(|entry| entry.blobs.iter().any(is))
    }
}

/// Keeps layers from being removed while an operation counts on them. Removing others gives way to it.
#[derive(Debug)]
pub(crate) struct Lease {
    inner: Arc<Inner>,
    _first: GiveWay,
    keys: Vec<String>,
    pulled: Vec<Digest>,
}

impl Lease {
    pub(crate) fn new(inner: &Arc<Inner>) -> Self {
        Self { inner: inner.clone(), _first: inner.trash.give_way(), keys: Vec::new(), pulled: Vec::new() }
    }

    /// The same for a layer that waits for its image. Says whether it is there.
    pub(crate) fn take_pulled(&mut self, state: &mut State, diff_id: &Digest) -> bool {
        let Some(layer) = state.pulled.get_mut(diff_id) else { return false };
        layer.leases += 1;
        self.pulled.push(diff_id.clone());
        true
    }

    /// Takes a lease on a layer while the caller holds the lock.
    pub(crate) fn take(&mut self, state: &mut State, key: &str) {
        if let Some(layer) = state.layers.get_mut(key) {
            layer.leases += 1;
            self.keys.push(key.to_owned());
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.inner.lock();
        for key in &self.keys {
            if let Some(layer) = state.layers.get_mut(key) {
                layer.leases -= 1;
            }
        }
        for diff_id in &self.pulled {
            if let Some(layer) = state.pulled.get_mut(diff_id) {
                layer.leases -= 1;
                continue;
            }
            // It has become a layer meanwhile.
            let heir = state.layers.values_mut().find(|l| l.inherited > 0 && l.record.diff_id == *diff_id);
            if let Some(layer) = heir {
                layer.inherited -= 1;
            }
        }
        if let Err(error) = prune(&mut state, &self.inner.layout, &self.inner.trash) {
            tracing::warn!(%error, "unused layers stay until the next sweep");
        }
    }
}

/// Removes stacks and layers that no image, no snapshot and no operation needs. Returns the layers' keys.
pub(crate) fn prune(state: &mut State, layout: &Layout, trash: &Trash) -> Result<Vec<String>> {
    let mut needed: HashSet<String> = state.snapshots.values().cloned().collect();
    needed.extend(state.held.keys().cloned());
    needed.extend(state.images.values().map(|entry| super::chain_name(entry.image.diff_ids())));
    let gone: Vec<String> = state
        .chains
        .keys()
        .filter(|name| *name != super::EMPTY_CHAIN && !needed.contains(*name))
        .cloned()
        .collect();
    for name in gone {
        trash.discard(&layout.chain(&name))?;
        state.chains.remove(&name);
    }
    let used: HashSet<&String> = state.chains.values().flat_map(|keys| keys.iter()).collect();
    let unused = |(key, layer): (&String, &super::LayerEntry)| {
        (layer.leases + layer.inherited == 0 && !used.contains(key)).then(|| key.clone())
    };
    let gone: Vec<String> = state.layers.iter().filter_map(unused).collect();
    for key in &gone {
        trash.discard(&layout.layer(key))?;
        state.layers.remove(key);
    }
    Ok(gone)
}
