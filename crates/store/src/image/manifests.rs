//! The manifests under which an image is known to registries: exact bytes, so that it keeps its digests.

use std::collections::HashSet;

use oci::{Descriptor, Digest};
use serde::{Deserialize, Serialize};

use super::list::entry;
use crate::disk::Trash;
use crate::error::Context;
use crate::layer::LayerBlob;
use crate::layout::Layout;
use crate::state::State;
use crate::{Error, Result, Store};

/// Manifests that are kept of one image: the newest ones.
const MAX_KEPT: usize = 16;
/// Repositories that are noted of one manifest.
const MAX_REPOSITORIES: usize = 32;

/// A manifest under which an image was pulled or pushed. [`Store::document`] has the bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptManifest {
    /// The image's own manifest.
    pub manifest: Descriptor,
    /// The indexes that lead to it, topmost first; none when it was found by itself.
    #[serde(default)]
    pub indexes: Vec<Descriptor>,
    /// Manifests of the index that say something about this one (attestations) and were pulled with it.
    #[serde(default)]
    pub companions: Vec<Descriptor>,
    /// What the companions are made of: their configurations and statements, as far as they are here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Descriptor>,
    /// Repositories that it was pulled from or pushed to (`docker.io/library/alpine`), newest last.
    #[serde(default)]
    pub repositories: Vec<String>,
}

impl KeptManifest {
    /// What a repository's digest of the image means: the topmost index, or the manifest itself.
    pub fn top(&self) -> &Descriptor {
        self.indexes.first().unwrap_or(&self.manifest)
    }

    /// All documents.
    pub(crate) fn documents(&self) -> impl Iterator<Item = &Digest> {
        let all = std::iter::once(&self.manifest).chain(&self.indexes).chain(&self.companions);
        all.chain(&self.attachments).map(|descriptor| &descriptor.digest)
    }

    fn same(&self, other: &Self) -> bool {
        self.manifest.digest == other.manifest.digest && self.indexes == other.indexes
    }
}

/// What is known of an image beside its configuration and its layers.
#[derive(Clone, Debug)]
pub struct Known {
    /// The manifest, and what leads to it and speaks of it.
    pub manifest: KeptManifest,
    /// The bytes of all that it names.
    pub documents: Vec<Vec<u8>>,
    /// The blob of each layer, lowest first.
    pub blobs: Vec<LayerBlob>,
}

/// Adds a manifest as the newest.
pub(crate) fn add(kept: &mut Vec<KeptManifest>, mut new: KeptManifest) {
    if let Some(at) = kept.iter().position(|old| old.same(&new)) {
        let mut old = kept.remove(at);
        old.repositories.retain(|repository| !new.repositories.contains(repository));
        old.repositories.append(&mut new.repositories);
        new.repositories = old.repositories;
        for companion in old.companions {
            if !new.companions.contains(&companion) {
                new.companions.push(companion);
            }
        }
        for attachment in old.attachments {
            if !new.attachments.contains(&attachment) {
                new.attachments.push(attachment);
            }
        }
    }
    let old = new.repositories.len().saturating_sub(MAX_REPOSITORIES);
    new.repositories.drain(..old);
    kept.push(new);
    let old = kept.len().saturating_sub(MAX_KEPT);
    kept.drain(..old);
}

/// Removes those of these documents that no image has any more.
pub(crate) fn discard_unused(
    state: &State,
    layout: &Layout,
    trash: &Trash,
    documents: impl Iterator<Item = Digest>,
) -> Result<()> {
    let gone: HashSet<Digest> = documents.collect();
    for digest in gone.iter().filter(|digest| !state.has_document(digest)) {
        trash.discard(&layout.blob(digest))?;
    }
    Ok(())
}

impl Store {
    /// The manifests under which an image was pulled or pushed, newest first.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`].
    pub fn manifests(&self, id: &Digest) -> Result<Vec<KeptManifest>> {
        let state = self.inner().lock();
        let mut kept = entry(&state, id)?.record.manifests.clone();
        kept.reverse();
        Ok(kept)
    }

    /// The exact bytes of a manifest or an index that an image was pulled or pushed with.
    ///
    /// # Errors
    /// [`Error::Damaged`] when they are gone or are not what they were.
    pub fn document(&self, digest: &Digest) -> Result<Vec<u8>> {
        let path = self.inner().layout.blob(digest);
        let bytes = std::fs::read(&path).at("read", &path)?;
        match Digest::sha256(&bytes) {
            actual if actual == *digest => Ok(bytes),
            actual => Err(Error::Damaged(format!("document {digest} has digest {actual}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(n: u32, repository: &str) -> KeptManifest {
        KeptManifest {
            manifest: Descriptor::new("m", Digest::sha256(&n.to_le_bytes()), 1),
            indexes: Vec::new(),
            companions: Vec::new(),
            attachments: Vec::new(),
            repositories: vec![repository.into()],
        }
    }

    #[test]
    fn the_newest_is_last_and_known_once() {
        let mut all = Vec::new();
        add(&mut all, kept(1, "a"));
        add(&mut all, kept(2, "a"));
        add(&mut all, kept(1, "b"));
        add(&mut all, kept(1, "a"));
        assert_eq!(all.len(), 2);
        assert_eq!(all[1].manifest, kept(1, "").manifest);
        assert_eq!(all[1].repositories, ["b", "a"]);
        (0..50).for_each(|n| add(&mut all, kept(n, "a")));
        assert_eq!(all.len(), MAX_KEPT);
        (0..50).for_each(|n| add(&mut all, kept(1, &n.to_string())));
        assert_eq!(all.last().unwrap().repositories.len(), MAX_REPOSITORIES);
    }
}
