//! What the store knows, in memory; every change is on disk before it is here.

mod layers;
mod open;
mod refs;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use oci::{Digest, Image, Reference};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::disk::{encode, write_durable};
use crate::image::KeptManifest;
use crate::layer::{LayerBlob, LayerRecord};
use crate::layout::Layout;
use crate::pull::PulledEntry;

pub(crate) use layers::{Lease, prune};
pub(crate) use open::{make_directories, open};
pub(crate) use refs::StagedRefs;

/// The name of the stack of an image without layers.
pub(crate) const EMPTY_CHAIN: &str = "empty";

/// What is known of an image beside its config.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ImageRecord {
    /// When a name was last given to it, nanoseconds since 1970.
    pub(crate) last_tagged: i64,
    /// The manifests that registries know it by, newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) manifests: Vec<KeptManifest>,
}

/// An image and what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct ImageEntry {
    pub(crate) image: Arc<Image>,
    pub(crate) record: ImageRecord,
}

/// A layer on disk, and how many operations count on it beside images and snapshots.
#[derive(Debug)]
pub(crate) struct LayerEntry {
    pub(crate) record: Arc<LayerRecord>,
    /// Its compressed forms, newest last.
    pub(crate) blobs: Vec<LayerBlob>,
    pub(crate) leases: usize,
    /// Leases that were taken while it waited for its image.
    pub(crate) inherited: usize,
    /// Of a build, and not synchronised: it counts only until the machine stops.
    pub(crate) unsynced: bool,
}

/// Everything, behind one lock.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) images: HashMap<Digest, ImageEntry>,
    pub(crate) refs: BTreeMap<Reference, Digest>,
    /// By key: diffID or chainID, in hexadecimal.
    pub(crate) layers: HashMap<String, LayerEntry>,
    /// Keys of the layers of a stack, lowest first, by the stack's name.
    pub(crate) chains: HashMap<String, Arc<Vec<String>>>,
    /// Layers that pulls have unpacked and no image has yet, by diffID.
    pub(crate) pulled: HashMap<Digest, PulledEntry>,
    /// Stacks that are kept without an image, by name, and by how many.
    pub(crate) held: HashMap<String, usize>,
    /// The name of the stack that a container's root file system stands on.
    pub(crate) snapshots: HashMap<String, String>,
    /// The mapping of owners of those whose files lie with others than the image's, as text.
    pub(crate) owners: HashMap<String, String>,
    /// Those of them that nobody wants any more when this process has ended.
    pub(crate) fleeting: HashSet<String>,
}

/// The name of the stack of these layers.
pub(crate) fn chain_name(diff_ids: &[Digest]) -> String {
    oci::chain::ids(diff_ids).last().map_or_else(|| EMPTY_CHAIN.into(), |id| id.hex().to_owned())
}

impl State {
    /// Keys of the layers of an image, lowest first.
    pub(crate) fn chain_of(&self, image: &Image) -> Option<Arc<Vec<String>>> {
        self.chains.get(&chain_name(image.diff_ids())).cloned()
    }

    /// Bytes of an image's contents.
    pub(crate) fn size_of(&self, image: &Image) -> u64 {
        self.sizes_of(image).iter().sum()
    }

    /// Bytes of the contents of each layer of an image, lowest first.
    pub(crate) fn sizes_of(&self, image: &Image) -> Vec<u64> {
        let size = |key: &String| self.layers.get(key).map_or(0, |layer| layer.record.size);
        self.chain_of(image).map(|keys| keys.iter().map(size).collect()).unwrap_or_default()
    }

    /// The names of an image, sorted.
    pub(crate) fn names_of(&self, id: &Digest) -> Vec<Reference> {
        self.refs.iter().filter(|(_, other)| *other == id).map(|(name, _)| name.clone()).collect()
    }

    /// Does an image need this document: its config, a manifest, an index?
    pub(crate) fn has_document(&self, digest: &Digest) -> bool {
        let kept = |entry: &ImageEntry| {
            entry.record.manifests.iter().any(|kept| kept.documents().any(|one| one == digest))
        };
        self.images.contains_key(digest) || self.images.values().any(kept)
    }

    pub(crate) fn write_image(&self, layout: &Layout, id: &Digest, record: &ImageRecord) -> Result<()> {
        write_durable(layout, &layout.image(id), &encode(record)?)
    }
}
