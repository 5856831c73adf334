//! Images as registries have them: blobs and manifests, of either kind, packed in any way.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Probe;
use crate::image::{ARCHITECTURE, Image, sha256};

/// How a layer is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// Not at all.
    Plain,
}

/// Whose media types are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// OCI's.
    Oci,
    /// Docker's schema 2.
    Docker,
}

/// OCI's manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI's index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker's manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// All of them.
pub const MANIFESTS: [&str; 4] = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST];

impl Style {
    fn manifest(self) -> &'static str {
        match self {
            Self::Oci => OCI_MANIFEST,
            Self::Docker => DOCKER_MANIFEST,
        }
    }

    fn index(self) -> &'static str {
        match self {
            Self::Oci => OCI_INDEX,
            Self::Docker => DOCKER_LIST,
        }
    }

    fn config(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.config.v1+json",
            Self::Docker => "application/vnd.docker.container.image.v1+json",
        }
    }

    fn layer(self, packing: Packing) -> &'static str {
        match (self, packing) {
            (Self::Oci, Packing::Gzip) => "application/vnd.oci.image.layer.v1.tar+gzip",
            (Self::Oci, Packing::Zstd) => "application/vnd.oci.image.layer.v1.tar+zstd",
            (Self::Oci, Packing::Plain) => "application/vnd.oci.image.layer.v1.tar",
            (Self::Docker, Packing::Plain) => "application/vnd.docker.image.rootfs.diff.tar",
            (Self::Docker, _) => "application/vnd.docker.image.rootfs.diff.tar.gzip",
        }
    }
}

/// A layer's tar, packed.
pub fn pack(tar: &[u8], packing: Packing) -> Result<Vec<u8>> {
    Ok(match packing {
        Packing::Plain => tar.to_vec(),
        Packing::Gzip => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(tar)?;
            gzip.finish()?
        }
        Packing::Zstd => zstd::encode_all(tar, 1)?,
    })
}

/// What a repository has of one image, or of several in an index.
#[derive(Debug, Clone, Default)]
pub struct Picture {
    /// By digest: media type and bytes.
    pub manifests: BTreeMap<String, (String, Vec<u8>)>,
    /// By digest.
    pub blobs: BTreeMap<String, Arc<Vec<u8>>>,
    /// The digest of what a tag of it names.
    pub root: String,
}

impl Picture {
    /// An image for this machine, its layers packed in these ways in turn.
    pub fn of(image: &Image, style: Style, packings: &[Packing]) -> Result<Self> {
        Self::made_for(image, ARCHITECTURE, style, packings)
    }

    /// An image for another architecture.
    pub fn made_for(image: &Image, architecture: &str, style: Style, packings: &[Packing]) -> Result<Self> {
        let packed = image.tars().iter().zip(packings.iter().cycle());
        let packed = packed.map(|(tar, packing)| Ok((pack(tar, *packing)?, *packing)));
        Self::assembled(image, architecture, style, packed.collect::<Result<_>>()?)
    }

    /// An image for this machine whose layers were packed by gzip already.
    pub fn packed(image: &Image, style: Style, layers: Vec<Vec<u8>>) -> Result<Self> {
        let layers = layers.into_iter().map(|bytes| (bytes, Packing::Gzip)).collect();
        Self::assembled(image, ARCHITECTURE, style, layers)
    }

    fn assembled(
        image: &Image,
        architecture: &str,
        style: Style,
        packed: Vec<(Vec<u8>, Packing)>,
    ) -> Result<Self> {
        let mut picture = Self::default();
        let config = picture.blob(image.configuration(architecture)?, style.config());
        let layers: Vec<Value> =
            packed.into_iter().map(|(bytes, packing)| picture.blob(bytes, style.layer(packing))).collect();
        picture.manifest(
            style.manifest(),
            &json!({"schemaVersion": 2, "mediaType": style.manifest(), "config": config, "layers": layers}),
        )?;
        Ok(picture)
    }

    /// Several images for several architectures, as one.
    pub fn index(style: Style, parts: &[(&str, Self)]) -> Result<Self> {
        let mut index = Self::default();
        let mut listed = Vec::new();
        for (architecture, part) in parts {
            let mut one = part.descriptor()?;
            one["platform"] = json!({"os": "linux", "architecture": architecture});
            listed.push(one);
            index.take(part);
        }
        index.manifest(
            style.index(),
            &json!({"schemaVersion": 2, "mediaType": style.index(), "manifests": listed}),
        )?;
        Ok(index)
    }

    /// An index of this image and an attestation about it, as BuildKit makes them.
    pub fn attested(&self) -> Result<Self> {
        let mut index = Self::default();
        let statement = json!({"_type": "https://in-toto.io/Statement/v0.1", "predicate": {}});
        let mut statement = index.blob(serde_json::to_vec(&statement)?, "application/vnd.in-toto+json");
        statement["annotations"] = json!({"in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2"});
        let config = json!({"architecture": "unknown", "os": "unknown", "config": {}, "rootfs": {"type": "layers",
            "diff_ids": [statement["digest"]]}});
        let config = index.blob(serde_json::to_vec(&config)?, Style::Oci.config());
        index.manifest(
            OCI_MANIFEST,
            &json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [statement]}),
        )?;
        let mut attestation = index.descriptor()?;
        attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
        attestation["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": self.root});
        let mut image = self.descriptor()?;
        image["platform"] = json!({"os": "linux", "architecture": ARCHITECTURE});
        index.take(self);
        index.manifest(
            OCI_INDEX,
            &json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [image, attestation]}),
        )?;
        Ok(index)
    }

    /// The same with another document in the place of the one that its tag names.
    pub fn altered(&self, change: impl FnOnce(&mut Value)) -> Result<Self> {
        let mut altered = self.clone();
        let (media, _) = altered.manifests.remove(&self.root).context("no root")?;
        let mut document = self.document()?;
        change(&mut document);
        altered.manifest(&media, &document)?;
        Ok(altered)
    }

    /// The document that its tag names.
    pub fn document(&self) -> Result<Value> {
        Ok(serde_json::from_slice(&self.bytes()?.1)?)
    }

    /// Media type and bytes of what its tag names.
    pub fn bytes(&self) -> Result<&(String, Vec<u8>)> {
        self.manifests.get(&self.root).context("no root")
    }

    /// Digest and size of each layer of the image, the lowest first.
    pub fn layers(&self) -> Result<Vec<(String, u64)>> {
        let document = self.document()?;
        let layers = document["layers"].as_array().context("no layers")?;
        let one = |layer: &Value| {
            let digest = layer["digest"].as_str().unwrap_or_default().to_owned();
            (digest, layer["size"].as_u64().unwrap_or_default())
        };
        Ok(layers.iter().map(one).collect())
    }

    /// The image's id: its configuration's digest.
    pub fn id(&self) -> Result<String> {
        let document = self.document()?;
        Ok(document["config"]["digest"].as_str().context("no configuration")?.to_owned())
    }

    /// Puts all of it into a repository, and names it.
    pub fn push(&self, probe: &Probe, repository: &str, tag: &str) -> Result<()> {
        for (digest, bytes) in &self.blobs {
            probe.put_blob(repository, digest, bytes)?;
        }
        for (digest, (media, bytes)) in &self.manifests {
            if *digest != self.root {
                probe.put_manifest(repository, digest, media, bytes)?;
            }
        }
        let (media, bytes) = self.bytes()?;
        probe.put_manifest(repository, tag, media, bytes).map(drop)
    }

    /// Adds a blob; its descriptor.
    pub fn blob(&mut self, bytes: Vec<u8>, media: &str) -> Value {
        let digest = format!("sha256:{}", sha256(&bytes));
        let descriptor = json!({"mediaType": media, "digest": digest, "size": bytes.len()});
        self.blobs.insert(digest, Arc::new(bytes));
        descriptor
    }

    /// Adds a manifest, which the tag names from now on.
    pub fn manifest(&mut self, media: &str, document: &Value) -> Result<()> {
        let bytes = serde_json::to_vec(document)?;
        self.root = format!("sha256:{}", sha256(&bytes));
        self.manifests.insert(self.root.clone(), (media.to_owned(), bytes));
        Ok(())
    }

    /// Takes over all that another has.
    pub fn take(&mut self, other: &Self) {
        self.manifests.extend(other.manifests.clone());
        self.blobs.extend(other.blobs.clone());
    }

    /// The descriptor of what its tag names.
    pub fn descriptor(&self) -> Result<Value> {
        let (media, bytes) = self.bytes()?;
        Ok(json!({"mediaType": media, "digest": self.root, "size": bytes.len()}))
    }
}
