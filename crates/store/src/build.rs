//! What a builder needs: layers and stacks of them that no image has yet, and images of stacks that are here.
//!
//! A step of a build waits for no disk: its layer counts until the machine stops, or until an image with it was
//! committed, which synchronises everything.

mod stacks;
mod travel;

use std::sync::Arc;

use oci::{Digest, Image, Reference};

use crate::image::{Known, Progress};
use crate::load::{FreshLayers, Kept, NewImage, Publisher, commit_images, rename};
use crate::state::{State, chain_name, prune};
use crate::store::{Inner, now};
use crate::{Error, Result, Store};

pub use stacks::Stacks;

/// Keeps a stack of layers here, image or not, as long as this value lives.
#[derive(Debug)]
pub struct Hold {
    inner: Arc<Inner>,
    layers: Vec<Digest>,
    /// It is not given back.
    left: bool,
}

impl Hold {
    /// Holds a stack that is here, while the caller holds the lock.
    pub(crate) fn new(inner: &Arc<Inner>, state: &mut State, layers: &[Digest]) -> Self {
        *state.held.entry(chain_name(layers)).or_default() += 1;
        Self { inner: Arc::clone(inner), layers: layers.to_vec(), left: false }
    }

    /// The layers, lowest first.
    pub fn layers(&self) -> &[Digest] {
        &self.layers
    }

    /// Leaves the stack here for whoever opens the store next with [`Store::open_keeping`]: this process ends.
    pub fn leave(mut self) {
        self.left = true;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.left {
            return;
        }
        let mut state = self.inner.lock();
        let name = chain_name(&self.layers);
        if let Some(count) = state.held.get_mut(&name) {
            *count -= 1;
            if *count > 0 {
                return;
            }
            state.held.remove(&name);
        }
        if let Err(error) = prune(&mut state, &self.inner.layout, &self.inner.trash) {
            tracing::warn!(%error, "unused layers stay until the next sweep");
        }
    }
}

impl Store {
    /// Keeps a stack of layers, lowest first; `None` when it is not here.
    pub fn hold(&self, layers: &[Digest]) -> Option<Hold> {
        let mut state = self.inner().lock();
        let here = state.chains.contains_key(&chain_name(layers));
        here.then(|| Hold::new(self.inner(), &mut state, layers))
    }

    /// What [`Self::open_keeping`] has kept is only kept by whoever [holds](Self::hold) it from now on.
    ///
    /// # Errors
    /// Files can't be removed.
    pub fn let_go_of_kept(&self, kept: &[Vec<Digest>]) -> Result<()> {
        let inner = self.inner();
        let mut state = inner.lock();
        for stack in kept {
            let name = chain_name(stack);
            if let Some(count) = state.held.get_mut(&name) {
                *count -= 1;
                if *count == 0 {
                    state.held.remove(&name);
                }
            }
        }
        prune(&mut state, &inner.layout, &inner.trash).map(drop)
    }

    /// Makes a layer of what a snapshot's owner has changed above `below`, and holds the stack with it; of no change
    /// comes no layer. `scaffold` as in [`crate::Snapshot::changes`].
    ///
    /// # Errors
    /// The snapshot or a layer below is gone; [`Error::NoSpace`]. Nothing stays behind.
    pub fn commit_layer(&self, snapshot: &str, below: &[Digest], scaffold: &[&str]) -> Result<Hold> {
        self.make_layer(snapshot, below, scaffold, false)
    }

    /// The same of a snapshot that nobody has mounted and that is good for nothing afterwards: its files become the
    /// layer's, without being copied where the driver allows it.
    ///
    /// # Errors
    /// As [`Self::commit_layer`].
    pub fn turn_into_layer(&self, snapshot: &str, below: &[Digest], scaffold: &[&str]) -> Result<Hold> {
        self.make_layer(snapshot, below, scaffold, true)
    }

    fn make_layer(
        &self,
        snapshot: &str,
        below: &[Digest],
        scaffold: &[&str],
        in_place: bool,
    ) -> Result<Hold> {
        let inner = self.inner();
        let snapshot = self.snapshot(snapshot)?;
        let changes = snapshot.changes(scaffold)?;
        if changes.is_empty() {
            // the snapshot keeps them
            return self.hold(below).ok_or_else(|| missing(below));
        }
        let mut publisher = Publisher::new(inner);
        let keys = self.keys(below)?;
        publisher.hold(&keys);
        let layer = if in_place && snapshot.is_apart() {
            self.layer_in_place(&snapshot, &changes)?
        } else {
            self.layer(&snapshot, &changes)?
        };
        publisher.above_unsynced(&keys, below, layer)
    }

    /// Puts layers that are here on each other in a new order, and holds the stack.
    ///
    /// # Errors
    /// One of them is not here; [`Error::NoSpace`].
    pub fn restack(&self, layers: &[Digest]) -> Result<Hold> {
        if let Some(held) = self.hold(layers) {
            return Ok(held);
        }
        let mut publisher = Publisher::new(self.inner());
        publisher.stack_unsynced(layers, &[], &mut FreshLayers::new())
    }

    /// Makes an image of layers that are here. On disk for good when it returns, and so are its layers, and what else
    /// is known of it.
    ///
    /// # Errors
    /// A layer is missing; [`Error::NoSpace`]. Nothing stays behind.
    pub fn create_image(
        &self,
        image: Image,
        names: Vec<Reference>,
        known: Option<Known>,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Digest> {
        if known.is_none() && self.name_again(image.id(), &names, progress)? {
            return Ok(image.id().clone());
        }
        let mut publisher = Publisher::new(self.inner());
        let keys = self.keys(image.diff_ids())?;
        publisher.hold(&keys);
        let id = image.id().clone();
        let kept = known.map(|known| Kept {
            documents: known.documents.into_iter().map(|bytes| (Digest::sha256(&bytes), bytes)).collect(),
            blobs: image.diff_ids().iter().cloned().zip(known.blobs).collect(),
            manifest: known.manifest,
        });
        let image = NewImage { image: Arc::new(image), names, keys, kept };
        commit_images(&mut publisher, &[image], progress)?;
        Ok(id)
    }

    /// Gives names to an image that is here, and so on disk for good with its layers; says whether it is.
    fn name_again(
        &self,
        id: &Digest,
        names: &[Reference],
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<bool> {
        let layout = &self.inner().layout;
        let mut state = self.inner().lock();
        if !state.images.contains_key(id) {
            return Ok(false);
        }
        let mut refs = state.refs.clone();
        let moved = rename(&mut refs, names, id);
        if refs != state.refs {
            state.set_refs(layout, refs)?;
        }
        state.touch_image(layout, id, now())?;
        drop(state);
        moved.into_iter().for_each(|(name, old)| progress(Progress::Renamed { name, old }));
        Ok(true)
    }

    /// Bytes of the files of a layer.
    pub fn layer_size(&self, layer: &Digest) -> u64 {
        let state = self.inner().lock();
        let key = state.any_layer(layer);
        key.and_then(|key| state.layers.get(&key)).map_or(0, |layer| layer.record.size)
    }

    pub(crate) fn keys(&self, layers: &[Digest]) -> Result<Vec<String>> {
        let state = self.inner().lock();
        let keys = state.chains.get(&chain_name(layers)).map(|keys| keys.to_vec());
        keys.ok_or_else(|| missing(layers))
    }
}

fn missing(layers: &[Digest]) -> Error {
    Error::Damaged(format!("the layers of {} are missing", chain_name(layers)))
}

#[cfg(test)]
mod tests;
