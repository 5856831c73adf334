//! Layers of a builder's that go to other machines and come from them without an image.

use std::io::Read;
use std::sync::Arc;

use oci::image::RootFs;
use oci::{Digest, Image, ImageConfig};
use sha2::Digest as _;

use super::{Hold, missing};
use crate::load::{Publisher, unpack_stream};
use crate::{Error, PushPlan, Result, Store};

impl Store {
    /// Whether a layer is here, in whatever stack.
    pub fn has_layer(&self, layer: &Digest) -> bool {
        self.inner().lock().any_layer(layer).is_some()
    }

    /// Unpacks a blob as a layer above others that are here, and holds the stack. It waits for no disk.
    ///
    /// # Errors
    /// The blob has not this digest, or its tar not `layer`'s; it is malformed; [`Error::NoSpace`]. Nothing stays
    /// behind.
    pub fn add_layer(
        &self,
        below: &[Digest],
        layer: &Digest,
        blob: &Digest,
        input: &mut (dyn Read + Send),
    ) -> Result<Hold> {
        let mut publisher = Publisher::new(self.inner());
        let keys = self.keys(below)?;
        publisher.hold(&keys);
        let (fresh, mut sum) = unpack_stream(self.inner(), &mut *input)?;
        // what is behind the tar belongs to the blob
        std::io::copy(input, &mut sum).map_err(|error| Error::io("read a layer", error))?;
        let found = Digest::from_sha256(sum.finalize().into());
        if found != *blob {
            let what = "blob of a layer".to_owned();
            return Err(Error::DigestMismatch { what, expected: blob.clone(), actual: found });
        }
        match &fresh.diff_id {
            Some(found) if found == layer => publisher.above_unsynced(&keys, below, fresh),
            found => Err(Error::DigestMismatch {
                what: format!("layer of blob {blob}"),
                expected: layer.clone(),
                actual: found.clone().unwrap_or_else(|| blob.clone()),
            }),
        }
    }

    /// What there is to push of a stack that is held.
    ///
    /// # Errors
    /// It is not here.
    pub fn stack_plan(&self, layers: &[Digest]) -> Result<PushPlan> {
        let rootfs = RootFs { diff_ids: layers.to_vec(), ..RootFs::default() };
        let image = Image::encode(&ImageConfig { rootfs, ..ImageConfig::default() })
            .map_err(|error| Error::Document(error.to_string()))?;
        let _held = self.hold(layers).ok_or_else(|| missing(layers))?;
        self.plan(Arc::new(image), Vec::new())
    }
}
