//! What forms a layer's blob has, and the manifests that name them.

use std::collections::BTreeMap;

use oci::{Descriptor, Manifest, media_type};

use super::PushPlan;
use crate::layer::LayerBlob;
use crate::pull::RawDocument;
use crate::{Error, Result};

/// How a layer is to be encoded. A level is the encoder's own; without one it is ours, which is the same each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The tar itself.
    Plain,
    /// One gzip member.
    Gzip(Option<u32>),
    /// One zstd frame.
    Zstd(Option<i32>),
}

/// How a layer's blob is compressed, as its media type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Not at all.
    None,
    /// As gzip.
    Gzip,
    /// As zstd.
    Zstd,
}

impl Kind {
    /// What a media type says.
    pub fn of(media_type: &str) -> Self {
        if media_type.ends_with("zstd") {
            Self::Zstd
        } else if media_type.ends_with("gzip") {
            Self::Gzip
        } else {
            Self::None
        }
    }

    fn name(self, oci: bool) -> &'static str {
        match (self, oci) {
            (Self::None, true) => media_type::OCI_LAYER,
            (Self::None, false) => media_type::DOCKER_LAYER,
            (Self::Gzip, true) => media_type::OCI_LAYER_GZIP,
            (Self::Gzip, false) => media_type::DOCKER_LAYER_GZIP,
            (Self::Zstd, _) => media_type::OCI_LAYER_ZSTD,
        }
    }
}

impl PushPlan {
    /// A manifest for these blobs, one of each layer: Docker's, or OCI's when a blob is of a kind that Docker's has
    /// no name for. The same blobs give the same bytes.
    ///
    /// # Errors
    /// Not one blob for each layer.
    pub fn manifest(&self, blobs: &[LayerBlob]) -> Result<RawDocument> {
        let oci = blobs.iter().any(|blob| Kind::of(&blob.media_type) == Kind::Zstd);
        self.manifest_with(blobs, oci, BTreeMap::new())
    }

    /// The same in OCI's or in Docker's words, with annotations.
    ///
    /// # Errors
    /// As [`Self::manifest`].
    pub fn manifest_with(
        &self,
        blobs: &[LayerBlob],
        oci: bool,
        annotations: BTreeMap<String, String>,
    ) -> Result<RawDocument> {
        if blobs.len() != self.layers.len() {
            return Err(Error::Damaged(format!("{} blobs for {} layers", blobs.len(), self.layers.len())));
        }
        let (kind, config) = match oci {
            true => (media_type::OCI_MANIFEST, media_type::OCI_CONFIG),
            false => (media_type::DOCKER_MANIFEST, media_type::DOCKER_CONFIG),
        };
        let layer = |blob: &LayerBlob| {
            let name = Kind::of(&blob.media_type).name(oci);
            Descriptor::new(name, blob.digest.clone(), blob.size)
        };
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(kind.into()),
            config: Descriptor::new(config, self.image().id().clone(), self.image().raw().len() as u64),
            layers: blobs.iter().map(layer).collect(),
            annotations,
        };
        let bytes = serde_json::to_vec(&manifest).map_err(|error| Error::Document(error.to_string()))?;
        Ok(RawDocument { media_type: kind.into(), bytes })
    }
}
