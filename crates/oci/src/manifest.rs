//! Image manifests and indexes, Docker's and OCI's, with the bytes they were read from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Digest, Platform, media_type, serde_null};

/// The most bytes that a manifest, an index or an image config may have.
pub const MAX_DOCUMENT: u64 = 8 << 20;

/// The most layers an image may have: overlayfs stacks no more.
pub const MAX_LAYERS: usize = 500;

/// The annotation that names an image in an OCI layout: a tag, or a whole reference.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation by which containerd and Docker write the whole reference.
pub const IMAGE_NAME: &str = "io.containerd.image.name";
/// The annotation that marks a manifest which says something about another (attestations).
pub const REFERENCE_TYPE: &str = "vnd.docker.reference.type";

/// Why bytes are no manifest or index.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// No JSON, or a field of a wrong type or value.
    #[error("invalid manifest: {0}")]
    Json(#[from] serde_json::Error),
    /// Longer than [`MAX_DOCUMENT`].
    #[error("manifest of {0} bytes is larger than the limit of {MAX_DOCUMENT}")]
    TooLarge(usize),
    /// It could be read as two different things (CVE-2021-41190).
    #[error("ambiguous manifest: has fields of a manifest and of an index")]
    Ambiguous,
    /// `mediaType` says something else than the fields.
    #[error("manifest has unexpected media type {0:?}")]
    MediaType(String),
    /// `schemaVersion` is not 2.
    #[error("unsupported manifest schema version {0}")]
    SchemaVersion(u32),
    /// More layers than any kernel can stack.
    #[error("manifest has {0} layers, the limit is {MAX_LAYERS}")]
    TooManyLayers(usize),
}

/// A pointer to content: what it is, its digest, its size in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Media type of the content.
    #[serde(default, deserialize_with = "serde_null::or_default")]
    pub media_type: String,
    /// Digest of the content.
    pub digest: Digest,
    /// Bytes of the content.
    pub size: u64,
    /// Where else it may be found (foreign layers). Only asked anonymously: the manifest is a stranger.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "serde_null::or_default")]
    pub urls: Vec<String>,
    /// Free annotations.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "serde_null::or_default"
    )]
    pub annotations: BTreeMap<String, String>,
    /// The platform, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

impl Descriptor {
    /// A descriptor without annotations.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            platform: None,
        }
    }
}

/// An image manifest: one config and its layers, lowest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// Media type of the manifest itself (optional in OCI's).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The image config.
    pub config: Descriptor,
    /// The layers, lowest first.
    #[serde(default, deserialize_with = "serde_null::or_default")]
    pub layers: Vec<Descriptor>,
    /// Free annotations.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "serde_null::or_default"
    )]
    pub annotations: BTreeMap<String, String>,
}

/// An index: manifests (or further indexes) for several platforms or names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// Media type of the index itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What it lists.
    #[serde(default, deserialize_with = "serde_null::or_default")]
    pub manifests: Vec<Descriptor>,
    /// Free annotations.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "serde_null::or_default"
    )]
    pub annotations: BTreeMap<String, String>,
}

/// What a blob of one of the manifest types turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one lives for a moment; a box would be in everyone's way")]
pub enum Document {
    /// An image manifest.
    Manifest(Manifest),
    /// An index.
    Index(Index),
}

impl Document {
    /// Reads a manifest or an index, and refuses one that could be taken for both.
    ///
    /// # Errors
    /// [`ManifestError`], naming what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() as u64 > MAX_DOCUMENT {
            return Err(ManifestError::TooLarge(bytes.len()));
        }
        let shape: Shape = serde_json::from_slice(bytes)?;
        shape.check()?;
        if shape.manifests.is_some() {
            return Ok(Self::Index(serde_json::from_slice(bytes)?));
        }
        let manifest: Manifest = serde_json::from_slice(bytes)?;
        if manifest.layers.len() > MAX_LAYERS {
            return Err(ManifestError::TooManyLayers(manifest.layers.len()));
        }
        Ok(Self::Manifest(manifest))
    }
}

/// Only which fields are there.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    #[serde(default)]
    schema_version: u32,
    #[serde(default)]
    media_type: Option<String>,
    config: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
    manifests: Option<serde::de::IgnoredAny>,
}

impl Shape {
    fn check(&self) -> Result<(), ManifestError> {
        if self.schema_version != 2 {
            return Err(ManifestError::SchemaVersion(self.schema_version));
        }
        let is_index = self.manifests.is_some();
        if is_index && (self.config.is_some() || self.layers.is_some()) {
            return Err(ManifestError::Ambiguous);
        }
        let fits =
            |name: &str| if is_index { media_type::is_index(name) } else { media_type::is_manifest(name) };
        match self.media_type.as_deref() {
            None | Some("") => Ok(()),
            Some(name) if fits(name) => Ok(()),
            Some(name) => Err(ManifestError::MediaType(name.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn reads_both_kinds() {
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"x","digest":"{EMPTY}","size":0}},"layers":null}}"#
        );
        assert!(
            matches!(Document::parse(manifest.as_bytes()).unwrap(), Document::Manifest(m) if m.layers.is_empty())
        );
        let index = r#"{"schemaVersion":2,"manifests":[]}"#;
        assert!(matches!(Document::parse(index.as_bytes()).unwrap(), Document::Index(_)));
    }

    #[test]
    fn refuses_confusion() {
        let both = format!(
            r#"{{"schemaVersion":2,"config":{{"digest":"{EMPTY}","size":0}},"layers":[],"manifests":[]}}"#
        );
        assert!(matches!(Document::parse(both.as_bytes()), Err(ManifestError::Ambiguous)));
        let lying = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","config":{{"digest":"{EMPTY}","size":0}},"layers":[]}}"#,
            media_type::OCI_INDEX
        );
        assert!(matches!(Document::parse(lying.as_bytes()), Err(ManifestError::MediaType(_))));
        assert!(matches!(Document::parse(br#"{"schemaVersion":1}"#), Err(ManifestError::SchemaVersion(1))));
        let digest = r#"{"schemaVersion":2,"config":{"digest":"sha256:../../etc","size":0}}"#;
        assert!(matches!(Document::parse(digest.as_bytes()), Err(ManifestError::Json(_))));
        let size = format!(r#"{{"schemaVersion":2,"config":{{"digest":"{EMPTY}","size":-1}}}}"#);
        assert!(matches!(Document::parse(size.as_bytes()), Err(ManifestError::Json(_))));
    }
}
