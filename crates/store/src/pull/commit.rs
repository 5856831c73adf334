//! From layers that wait to an image.

use oci::Digest;

use super::Pull;
use crate::image::Progress;
use crate::layer::LayerBlob;
use crate::load::{Kept, NewImage, Publisher, commit_images};
use crate::{Error, Result};

impl Pull {
    /// Makes the image: all of it, and on disk for good when this returns, or nothing. Its name and the
    /// repository's digest of it become its names. `progress` hears of names that were another image's.
    ///
    /// # Errors
    /// A layer was not brought in; [`Error::NoSpace`].
    pub fn commit(&self, progress: &(dyn Fn(Progress) + Sync)) -> Result<Digest> {
        let inner = &self.inner;
        if let Some(layer) = self.layers().into_iter().find(|layer| !layer.present) {
            return Err(Error::Damaged(format!("layer {} was not pulled", layer.descriptor.digest)));
        }
        // Two images may wait for the same layer: one after the other.
        let _one = inner.pulls.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut publisher = Publisher::new(inner);
        let checked = &self.checked;
        let keys = publisher.pulled(&checked.image)?;
        let blobs = checked.layers.iter().map(|layer| LayerBlob {
            digest: layer.digest.clone(),
            size: layer.size,
            media_type: layer.media_type.clone(),
            repositories: vec![checked.repository.clone()],
        });
        let kept = Kept {
            manifest: checked.kept.clone(),
            documents: checked.documents.clone(),
            blobs: checked.image.diff_ids().iter().cloned().zip(blobs).collect(),
        };
        let image =
            NewImage { image: checked.image.clone(), names: checked.names.clone(), keys, kept: Some(kept) };
        commit_images(&mut publisher, &[image], progress)?;
        Ok(checked.image.id().clone())
    }
}
