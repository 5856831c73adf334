//! Loading archives: everything is read once, in order, and layers are unpacked while they arrive.
//! What the archive means is known only at its end (manifests come last), so what was unpacked waits in `tmp/`.

mod archive;
mod chunks;
mod commit;
mod docker;
mod job;
mod oci_layout;
mod publish;
#[cfg(test)]
mod tests;
mod wanted;

use std::io::Read;

use crate::image::{Loaded, Progress};
use crate::{Result, Store};

pub(crate) use chunks::{ChunkOutput, ChunkReader, ChunkWriter, chunks, few_chunks, fill};
pub(crate) use commit::{Kept, NewImage, commit_images, rename};
pub(crate) use job::{Fresh, adopt_here, unpack_here, unpack_reader, unpack_stream};
pub(crate) use publish::{FreshLayers, Publisher};

impl Store {
    /// Reads an archive of images: `docker save`'s old and new layout or an OCI layout, compressed or not.
    /// All of its images, or none: when it returns, they are on disk for good.
    ///
    /// # Errors
    /// What is wrong with the archive; [`crate::Error::NoSpace`]. Nothing stays behind.
    pub fn load(
        &self,
        input: &mut (dyn Read + Send),
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Vec<Loaded>> {
        let inner = self.inner();
        let mut publisher = Publisher::new(inner);
        let contents = archive::read(inner, input, &mut publisher, progress)?;
        let images = wanted::images(&contents)?;
        let images = publisher.layers(images, contents)?;
        commit_images(&mut publisher, &images, progress)?;
        // The leases end here: the images hold the layers from now on.
        drop(publisher);
        Ok(images
            .into_iter()
            .map(|image| Loaded { id: image.image.id().clone(), refs: image.names })
            .collect())
    }
}
