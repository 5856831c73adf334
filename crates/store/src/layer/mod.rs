//! Layers: a tar unpacked into overlayfs's form, and what gives the exact tar back.

mod adopt;
mod assemble;
pub(crate) mod blobs;
mod implied;
mod meta;
mod recipe;
#[cfg(test)]
mod tests;
mod tree;
mod unpack;

use std::sync::LazyLock;

use oci::Digest;
use serde::{Deserialize, Serialize};

pub(crate) use adopt::adopt;
pub(crate) use assemble::{assemble, assemble_into};
pub use blobs::LayerBlob;
pub(crate) use implied::{meta, settle};
pub(crate) use meta::{Meta, set_xattr};
pub(crate) use unpack::{Unpacked, unpack};

/// The xattr by which overlayfs hides what lies below a directory.
pub(crate) fn opaque() -> &'static str {
    if is_plain() { "user.overlay.opaque" } else { "trusted.overlay.opaque" }
}

/// Whether overlayfs has its marks in `user` attributes, since the root of a user namespace may set no others. An
/// overlay so mounted lets nobody set them through it.
pub(crate) fn is_plain() -> bool {
    static PLAIN: LazyLock<bool> = LazyLock::new(|| !sys::users::in_first_namespace());
    *PLAIN
}

/// What is known of a layer beside its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LayerRecord {
    /// Digest of the tar.
    pub(crate) diff_id: Digest,
    /// Bytes of the tar.
    pub(crate) tar_size: u64,
    /// Bytes of the files' contents: what Docker calls the layer's size.
    pub(crate) size: u64,
    /// The tar omits parent directories, so that this unpacked form belongs to one chain only.
    pub(crate) implied: bool,
    /// What the tar says of the root directory.
    pub(crate) root: Option<Meta>,
    /// The root directory hides everything below (overlayfs doesn't look for that by itself).
    #[serde(default)]
    pub(crate) opaque_root: bool,
    /// Digests of blobs that unpack to this tar.
    #[serde(default)]
    pub(crate) blobs: Vec<Digest>,
}
