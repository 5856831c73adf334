//! The compressed forms of a layer that are known: what a registry has of it, and where.

use std::path::Path;

use oci::Digest;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::disk::read_json;
use crate::layout;

/// Blobs that are noted of one layer: the newest ones.
const MAX_BLOBS: usize = 16;
/// Repositories that are noted of one blob.
const MAX_REPOSITORIES: usize = 32;

/// A blob that was seen to unpack to a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerBlob {
    /// Digest of the blob.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// Media type, as the manifest had it.
    pub media_type: String,
    /// Repositories that had it when it was pulled or pushed (`docker.io/library/alpine`), newest last.
    #[serde(default)]
    pub repositories: Vec<String>,
}

/// What is in a layer's directory.
pub(crate) fn read(dir: &Path) -> Result<Vec<LayerBlob>> {
    let path = dir.join(layout::layer::BLOBS);
    if path.exists() { read_json(&path) } else { Ok(Vec::new()) }
}

/// Adds a blob, or its repositories to the ones that are known. Says whether that is news.
pub(crate) fn add(blobs: &mut Vec<LayerBlob>, new: &LayerBlob) -> bool {
    let Some(known) = blobs.iter_mut().find(|blob| blob.digest == new.digest) else {
        blobs.push(new.clone());
        let old = blobs.len().saturating_sub(MAX_BLOBS);
        blobs.drain(..old);
        return true;
    };
    let before = known.repositories.len();
    for repository in &new.repositories {
        if !known.repositories.contains(repository) {
            known.repositories.push(repository.clone());
        }
    }
    let news = known.repositories.len() > before;
    let old = known.repositories.len().saturating_sub(MAX_REPOSITORIES);
    known.repositories.drain(..old);
    news
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_once_and_not_without_end() {
        let blob = |n: u32, repository: &str| LayerBlob {
            digest: Digest::sha256(&n.to_le_bytes()),
            size: 1,
            media_type: "x".into(),
            repositories: vec![repository.into()],
        };
        let mut blobs = Vec::new();
        assert!(add(&mut blobs, &blob(0, "a")));
        assert!(!add(&mut blobs, &blob(0, "a")));
        assert!(add(&mut blobs, &blob(0, "b")));
        assert_eq!(blobs[0].repositories, ["a", "b"]);
        (0..100).for_each(|n| assert!(add(&mut blobs, &blob(0, &format!("r{n}")))));
        assert_eq!(blobs[0].repositories.len(), MAX_REPOSITORIES);
        (0..100).for_each(|n| assert!(n == 0 || add(&mut blobs, &blob(n, "a"))));
        assert_eq!(blobs.len(), MAX_BLOBS);
        assert_eq!(blobs.last().unwrap().digest, blob(99, "a").digest);
    }
}
