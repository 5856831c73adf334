//! What a client puts as a manifest: one of four types, and nothing that could be taken for two of them.

use std::collections::BTreeMap;

use oci::{Digest, media_type};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::server::error::{Code, Error, Result};
use crate::server::limits;

/// What a manifest or an index points to.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    #[serde(default)]
    urls: Option<Vec<String>>,
}

impl Descriptor {
    /// It says that it is a manifest or an index, or nothing.
    fn may_be_manifest(&self) -> bool {
        let kind = self.media_type.as_str();
        kind.is_empty() || media_type::is_manifest(kind) || media_type::is_index(kind)
    }

    /// A layer that is fetched from elsewhere, by its type and by its URLs.
    fn is_foreign(&self) -> bool {
        let by_type = self.media_type.contains(".foreign.") || self.media_type.contains(".nondistributable.");
        by_type && self.urls.as_ref().is_some_and(|urls| !urls.is_empty())
    }
}

/// The fields that matter to a registry.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    #[serde(default)]
    schema_version: u32,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
    /// Of version 1, which is not taken.
    #[serde(rename = "fsLayers")]
    fs_layers: Option<Box<RawValue>>,
}

/// A manifest or an index that was read.
#[derive(Debug)]
pub(crate) struct Document {
    /// Its media type.
    pub(crate) media_type: String,
    /// Blobs that the repository must have.
    pub(crate) blobs: Vec<Descriptor>,
    /// Manifests that the repository must have.
    pub(crate) manifests: Vec<Descriptor>,
    /// What it refers to, which need not be here (yet).
    pub(crate) subject: Option<Digest>,
    /// What kind of artifact it is, as lists of referrers say it.
    pub(crate) artifact_type: Option<String>,
    /// Its annotations.
    pub(crate) annotations: BTreeMap<String, String>,
}

/// A manifest as lists of referrers show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Referrer {
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
}

impl Document {
    /// Reads what was sent as `content_type`.
    ///
    /// # Errors
    /// `MANIFEST_INVALID`, with the reason.
    pub(crate) fn parse(content_type: Option<&str>, bytes: &[u8]) -> Result<Self> {
        let fields: Fields =
            serde_json::from_slice(bytes).map_err(|error| invalid(format!("not a manifest: {error}")))?;
        let media_type = fields.media_type(content_type)?;
        let is_index = media_type::is_index(&media_type);
        fields.check_shape(is_index)?;
        let count =
            fields.layers.as_ref().map_or(0, Vec::len) + fields.manifests.as_ref().map_or(0, Vec::len);
        if count > limits::REFERENCES {
            return Err(invalid(format!("it refers to {count} others, the limit is {}", limits::REFERENCES)));
        }
        let artifact_type = fields
            .artifact_type
            .filter(|text| !text.is_empty())
            .or_else(|| fields.config.as_ref().map(|config| config.media_type.clone()));
        let layers = fields.layers.unwrap_or_default().into_iter().filter(|layer| !layer.is_foreign());
        // an index may list what is no manifest (image specification, "Image Index"), as BuildKit's caches do
        let (manifests, others): (Vec<_>, Vec<_>) =
            fields.manifests.unwrap_or_default().into_iter().partition(Descriptor::may_be_manifest);
        let others = others.into_iter().filter(|other| !other.is_foreign());
        Ok(Self {
            media_type,
            blobs: fields.config.into_iter().chain(layers).chain(others).collect(),
            manifests,
            subject: fields.subject.map(|subject| subject.digest),
            artifact_type,
            annotations: fields.annotations.unwrap_or_default(),
        })
    }

    /// Itself as a list of referrers shows it. Annotations that are too long for a list are left out.
    pub(crate) fn referrer(&self, digest: &Digest, size: u64) -> Referrer {
        let length: usize = self.annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
        let annotations = if length <= limits::REFERRER { self.annotations.clone() } else { BTreeMap::new() };
        Referrer {
            media_type: self.media_type.clone(),
            digest: digest.clone(),
            size,
            artifact_type: self.artifact_type.clone(),
            annotations,
        }
    }
}

impl Fields {
    /// What header and body say, which must not contradict each other.
    fn media_type(&self, header: Option<&str>) -> Result<String> {
        if self.fs_layers.is_some() || self.schema_version == 1 {
            return Err(invalid("manifests of schema version 1 are not supported"));
        }
        let header = header.map(|text| text.split(';').next().unwrap_or(text).trim()).filter(|text| {
            // what programs say that do not know it
            !matches!(*text, "" | "application/json" | "application/octet-stream" | "text/plain")
        });
        let body = self.media_type.as_deref().filter(|text| !text.is_empty());
        let name = match (header, body) {
            (Some(header), Some(body)) if header != body => {
                return Err(invalid(format!("Content-Type is {header:?} and mediaType is {body:?}")));
            }
            (Some(name), _) | (None, Some(name)) => name,
            (None, None) if self.manifests.is_some() => media_type::OCI_INDEX,
            (None, None) => media_type::OCI_MANIFEST,
        };
        if media_type::is_manifest(name) || media_type::is_index(name) {
            return Ok(name.into());
        }
        Err(invalid(format!("manifests of type {name:?} are not supported")))
    }

    fn check_shape(&self, is_index: bool) -> Result<()> {
        if self.schema_version != 2 {
            return Err(invalid(format!("unsupported manifest schema version {}", self.schema_version)));
        }
        let ambiguous = self.manifests.is_some() && (self.config.is_some() || self.layers.is_some());
        if ambiguous {
            return Err(invalid("ambiguous manifest: has fields of a manifest and of an index"));
        }
        match is_index {
            true if self.config.is_some() || self.layers.is_some() => {
                Err(invalid("an index has no config and no layers"))
            }
            false if self.manifests.is_some() => Err(invalid("an image manifest has no list of manifests")),
            false if self.config.is_none() => Err(invalid("an image manifest needs a config")),
            _ => Ok(()),
        }
    }
}

/// That something is no manifest which this registry takes.
pub(crate) fn invalid(reason: impl Into<String>) -> Error {
    Error::new(Code::ManifestInvalid, format!("manifest invalid: {}", reason.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZERO: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn descriptor(media_type: &str) -> String {
        format!(r#"{{"mediaType":"{media_type}","digest":"{ZERO}","size":0}}"#)
    }

    #[test]
    fn an_artifact_is_read() {
        let text = format!(
            r#"{{"schemaVersion":2,"artifactType":"a/b","config":{},"layers":[],"subject":{},"annotations":{{"k":"v"}}}}"#,
            descriptor("application/vnd.oci.empty.v1+json"),
            descriptor(media_type::OCI_MANIFEST)
        );
        let document = Document::parse(Some(media_type::OCI_MANIFEST), text.as_bytes()).unwrap();
        assert_eq!(document.artifact_type.as_deref(), Some("a/b"));
        assert_eq!(document.subject.unwrap().as_str(), ZERO);
        assert_eq!(document.blobs.len(), 1);
        // without artifactType it is the config's type
        let text = text.replace(r#""artifactType":"a/b","#, "");
        let document = Document::parse(None, text.as_bytes()).unwrap();
        assert_eq!(document.artifact_type.as_deref(), Some("application/vnd.oci.empty.v1+json"));
        assert_eq!(document.media_type, media_type::OCI_MANIFEST);
    }

    #[test]
    fn an_index_may_list_blobs() {
        let list = [
            "application/vnd.oci.image.layer.v1.tar+gzip",
            media_type::OCI_MANIFEST,
            media_type::OCI_INDEX,
            "",
        ];
        let list = list.map(descriptor).join(",");
        let text = format!(r#"{{"schemaVersion":2,"manifests":[{list}]}}"#);
        let document = Document::parse(Some(media_type::OCI_INDEX), text.as_bytes()).unwrap();
        assert_eq!((document.blobs.len(), document.manifests.len()), (1, 3));
    }

    #[test]
    fn foreign_layers_need_not_be_here() {
        let foreign = |urls: &str| {
            format!(
                r#"{{"schemaVersion":2,"config":{},"layers":[{{"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip","digest":"{ZERO}","size":1,"urls":{urls}}}]}}"#,
                descriptor("x")
            )
        };
        let count = |text: String| Document::parse(None, text.as_bytes()).unwrap().blobs.len();
        assert_eq!(count(foreign(r#"["https://example.org/layer"]"#)), 1);
        assert_eq!(count(foreign("[]")), 2);
        assert_eq!(count(foreign("null")), 2);
    }

    #[test]
    fn confusion_is_refused() {
        let config = descriptor("x");
        for (header, text, word) in [
            (None, "{".to_owned(), "not a manifest"),
            (None, "[]".into(), "not a manifest"),
            (None, r#"{"schemaVersion":1,"fsLayers":[]}"#.into(), "version 1"),
            (None, format!(r#"{{"config":{config}}}"#), "version 0"),
            (
                None,
                format!(r#"{{"schemaVersion":2,"config":{config},"layers":[],"manifests":[]}}"#),
                "ambiguous",
            ),
            (Some(media_type::OCI_INDEX), format!(r#"{{"schemaVersion":2,"config":{config}}}"#), "no config"),
            (Some(media_type::OCI_MANIFEST), r#"{"schemaVersion":2,"manifests":[]}"#.into(), "no list"),
            (Some(media_type::OCI_MANIFEST), r#"{"schemaVersion":2}"#.into(), "needs a config"),
            (Some("text/html"), r#"{"schemaVersion":2}"#.into(), "text/html"),
            (
                Some(media_type::DOCKER_MANIFEST),
                format!(
                    r#"{{"schemaVersion":2,"mediaType":"{}","config":{config}}}"#,
                    media_type::OCI_MANIFEST
                ),
                "Content-Type is",
            ),
            (
                None,
                r#"{"schemaVersion":2,"config":{"digest":"sha256:../..","size":0}}"#.into(),
                "invalid checksum",
            ),
        ] {
            let error = Document::parse(header, text.as_bytes()).unwrap_err();
            assert_eq!(error.code, Code::ManifestInvalid);
            assert!(error.message.contains(word), "{text}: {}", error.message);
        }
    }
}
