//! Images: what is known of them, and the verbs on them.

mod list;
pub(crate) mod manifests;
mod names;
mod remove;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use manifests::{KeptManifest, Known};
pub(crate) use names::select;
use oci::{Digest, Image, Reference};

/// One image as a listing shows it.
#[derive(Clone, Debug)]
pub struct ImageSummary {
    /// The image's id: digest of its config.
    pub id: Digest,
    /// Its config with the exact bytes.
    pub image: Arc<Image>,
    /// When it was made, in seconds since 1970 (0 when it doesn't say).
    pub created: i64,
    /// Bytes of the contents of all its layers.
    pub size: u64,
    /// The names it has here with a tag, sorted.
    pub tags: Vec<Reference>,
    /// The names it has here with a digest, sorted.
    pub digests: Vec<Reference>,
    /// When a name was last given to it here, in nanoseconds since 1970.
    pub last_tagged: i64,
}

/// One step of an image's history, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryItem {
    /// The image's id for the newest step; unknown for the others.
    pub id: Option<Digest>,
    /// Seconds since 1970.
    pub created: i64,
    /// The command.
    pub created_by: String,
    /// A remark.
    pub comment: String,
    /// Tags of the image, for the newest step.
    pub tags: Vec<Reference>,
    /// Bytes of the layer's contents; 0 for a step without a layer.
    pub size: u64,
}

/// How `inspect` describes a driver's directories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphDriver {
    /// Docker's name of the driver: `overlay2`, `vfs`.
    pub name: &'static str,
    /// `LowerDir`, `UpperDir`, …: host paths.
    pub data: BTreeMap<String, String>,
}

/// The layers of an image for `inspect`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageLayers {
    /// The diffIDs, lowest first.
    pub diff_ids: Vec<Digest>,
    /// Where the driver keeps them.
    pub graph_driver: GraphDriver,
}

/// A container that uses an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageUse {
    /// The container's id.
    pub container: String,
    /// Its process lives.
    pub running: bool,
}

/// How to remove an image.
#[derive(Clone, Copy, Debug, Default)]
pub struct RemoveOptions {
    /// Also when several names or a stopped container refer to it.
    pub force: bool,
    /// Also remove parents that have no name (Docker's classic builder makes them).
    pub prune: bool,
}

/// What a removal did, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// A name was taken away; as Docker shows it (`alpine:3.20`).
    Untagged(String),
    /// An image or the chain of a layer is gone (`sha256:…`).
    Deleted(Digest),
}

/// What came out of an archive.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The image's id.
    pub id: Digest,
    /// The names that the archive gave it.
    pub refs: Vec<Reference>,
}

/// News of a long operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Bytes of a layer read so far.
    Layer {
        /// Twelve digits that name the layer.
        id: String,
        /// Bytes read.
        current: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A name that belonged to another image was moved.
    Renamed {
        /// The name.
        name: Reference,
        /// The image that had it.
        old: Digest,
    },
}

/// How to make an image of a root file system's tar.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Name for the image.
    pub name: Option<Reference>,
    /// What containers get by default (after `--change` was applied by the caller).
    pub config: oci::image::RunConfig,
    /// A remark (Docker: `Imported from -`).
    pub message: String,
    /// The platform; the host's when not given.
    pub platform: Option<oci::Platform>,
}

/// Bytes that the store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskUsage {
    /// Bytes of all layers' contents, each once.
    pub layers: u64,
    /// Bytes of each image's layers that no other image has.
    pub unique: BTreeMap<Digest, u64>,
    /// Bytes of each image's layers that another image has too.
    pub shared: BTreeMap<Digest, u64>,
}
