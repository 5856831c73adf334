//! Which layers are needed, by whom.

use std::collections::HashSet;

use oci::Digest;

use super::State;
use crate::Result;
use crate::disk::Trash;
use crate::layout::Layout;
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
        let made_of =
            |record: &crate::layer::LayerRecord| record.diff_id == *blob || record.blobs.contains(blob);
        self.any_layer(blob).or_else(|| {
            self.layers.iter().find(|(_, layer)| made_of(&layer.record)).map(|(key, _)| key.clone())
        })
    }
}

/// Keeps layers from being removed while an operation counts on them.
#[derive(Debug)]
pub(crate) struct Lease<'a> {
    inner: &'a Inner,
    keys: Vec<String>,
}

impl<'a> Lease<'a> {
    pub(crate) fn new(inner: &'a Inner) -> Self {
        Self { inner, keys: Vec::new() }
    }

    /// Takes a lease on a layer while the caller holds the lock.
    pub(crate) fn take(&mut self, state: &mut State, key: &str) {
        if let Some(layer) = state.layers.get_mut(key) {
            layer.leases += 1;
            self.keys.push(key.to_owned());
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut state = self.inner.lock();
        for key in &self.keys {
            if let Some(layer) = state.layers.get_mut(key) {
                layer.leases -= 1;
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
    needed.extend(state.images.values().map(|entry| super::chain_name(entry.image.diff_ids())));
    let gone: Vec<String> = state.chains.keys().filter(|name| !needed.contains(*name)).cloned().collect();
    for name in gone {
        trash.discard(&layout.chain(&name))?;
        state.chains.remove(&name);
    }
    let used: HashSet<&String> = state.chains.values().flat_map(|keys| keys.iter()).collect();
    let unused = |(key, layer): (&String, &super::LayerEntry)| {
        (layer.leases == 0 && !used.contains(key)).then(|| key.clone())
    };
    let gone: Vec<String> = state.layers.iter().filter_map(unused).collect();
    for key in &gone {
        trash.discard(&layout.layer(key))?;
        state.layers.remove(key);
    }
    Ok(gone)
}
