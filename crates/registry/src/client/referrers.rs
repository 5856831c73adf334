//! What refers to a manifest (signatures, attestations, bills of materials): by the API of distribution 1.1, or by the
//! tag that stands in for it where a registry has none.

use bytes::Bytes;
use hyper::Method;
use hyper::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};
use oci::{Descriptor, Digest, media_type};

use super::endpoint::Capability;
use super::error::{Error, Result};
use super::exchange::{Call, Peer};
use super::limits::{MAX_ENTRIES, MAX_MANIFEST, MAX_PAGES};
use super::link;
use super::manifest::{Target, content_type};
use super::repository::Repository;

/// Says that the registry has noted what a manifest refers to.
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// A manifest that refers to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// The manifest.
    pub descriptor: Descriptor,
    /// What it is: `application/vnd.dev.sigstore.bundle.v0.3+json`, …; may be empty.
    pub artifact_type: String,
}

/// An index with what [`oci::Index`] leaves out.
#[derive(serde::Deserialize)]
struct Index {
    #[serde(default)]
    manifests: Option<Vec<Entry>>,
}

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Entry {
    #[serde(flatten)]
    descriptor: Descriptor,
    #[serde(rename = "artifactType", default, skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
}

impl Repository {
    /// The manifests that refer to the one with this digest, of one artifact type or of all. None is no error.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn referrers(&self, digest: &Digest, artifact_type: Option<&str>) -> Result<Vec<Referrer>> {
        let mut tries = self.tries(Capability::Referrers).await?;
        loop {
            let result = self.referrers_at(tries.peer(), digest, artifact_type).await;
            if let Some(result) = tries.judge(result) {
                return result;
            }
        }
    }

    async fn referrers_at(
        &self,
        peer: &Peer,
        digest: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Referrer>> {
        let entries = match self.listed(peer, digest, artifact_type).await? {
            Some(entries) => entries,
            None => self.tagged(peer, digest).await?,
        };
        let all = entries.into_iter().map(|entry| Referrer {
            artifact_type: entry.artifact_type.unwrap_or_default(),
            descriptor: entry.descriptor,
        });
        // registries may leave the choice to us
        Ok(all.filter(|one| artifact_type.is_none_or(|wanted| wanted == one.artifact_type)).collect())
    }

    /// What the API lists; `None` when the registry has none.
    async fn listed(
        &self,
        peer: &Peer,
        digest: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Option<Vec<Entry>>> {
        let mut url = peer.endpoint.url(&format!("/{}/referrers/{digest}", self.path));
        if let Some(wanted) = artifact_type {
            url = url.with_parameter("artifactType", wanted);
        }
        let first = url.clone();
        let mut next = Some(url);
        let mut all = Vec::new();
        for _ in 0..MAX_PAGES {
            let Some(url) = next else { return Ok(Some(all)) };
            let call = Call::new(Method::GET, url.clone(), self.pulling())
                .header(ACCEPT, HeaderValue::from_static(media_type::OCI_INDEX));
            let answer = match peer.fetch(&call, MAX_MANIFEST, &format!("{first}: a list of referrers")).await
            {
                Ok(answer) => answer,
                Err(error) if is_unknown(&error) && all.is_empty() => return Ok(None),
                Err(error) => return Err(error),
            };
            if content_type(&answer.headers) != Some(media_type::OCI_INDEX) && all.is_empty() {
                return Ok(None);
            }
            let page = entries(&answer.bytes)
                .map_err(|error| Error::protocol(&first, format!("is no list of referrers: {error}")))?;
            let stands = page.is_empty();
            all.extend(page);
            if all.len() > MAX_ENTRIES {
                return Err(Error::protocol(&first, format!("lists more than {MAX_ENTRIES} referrers")));
            }
            next = link::next(&answer.headers, &url)?.filter(|_| !stands);
        }
        Err(Error::protocol(&first, format!("has more than {MAX_PAGES} pages")))
    }

    /// What the index lists that stands in for the API.
    async fn tagged(&self, peer: &Peer, digest: &Digest) -> Result<Vec<Entry>> {
        let target = Target::Tag(stand_in(digest));
        match self.manifest_at(peer, &target).await {
            Ok(manifest) => entries(&manifest.bytes)
                .map_err(|error| Error::protocol(&self.path, format!("{}: {error}", stand_in(digest)))),
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// After a manifest was put: lists it with what refers to its subject, if it has one and the registry does not do
    /// so itself.
    pub(crate) async fn note_subject(
        &self,
        peer: &Peer,
        headers: &HeaderMap,
        descriptor: Descriptor,
        bytes: &[u8],
    ) -> Result<()> {
        let Some((subject, entry)) = referring(descriptor, bytes) else { return Ok(()) };
        if headers.contains_key(OCI_SUBJECT) {
            return Ok(());
        }
        let mut all = self.tagged(peer, &subject).await?;
        if all.iter().any(|other| other.descriptor.digest == entry.descriptor.digest) {
            return Ok(());
        }
        all.push(entry);
        let index = serde_json::json!({
            "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": all,
        });
        let target = Target::Tag(stand_in(&subject));
        let bytes = Bytes::from(index.to_string());
        self.send_manifest(peer, &target, media_type::OCI_INDEX, &bytes, &Digest::sha256(&bytes)).await?;
        Ok(())
    }
}

fn entries(bytes: &[u8]) -> serde_json::Result<Vec<Entry>> {
    serde_json::from_slice::<Index>(bytes).map(|index| index.manifests.unwrap_or_default())
}

/// There is no such API, whatever the registry calls that.
fn is_unknown(error: &Error) -> bool {
    matches!(error.status(), Some(400 | 404 | 405 | 406 | 415 | 501))
}

/// The tag that stands in for the API: `sha256-…`, cut as the specification says.
fn stand_in(digest: &Digest) -> String {
    let hex = digest.hex();
    format!("{}-{}", digest.algorithm().as_str(), hex.get(..64).unwrap_or(hex))
}

/// What a manifest refers to, and how it is listed there.
fn referring(descriptor: Descriptor, bytes: &[u8]) -> Option<(Digest, Entry)> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Subject {
        subject: Option<Descriptor>,
        artifact_type: Option<String>,
        config: Option<Descriptor>,
        #[serde(default)]
        annotations: Option<std::collections::BTreeMap<String, String>>,
    }
    let said: Subject = serde_json::from_slice(bytes).ok()?;
    let subject = said.subject?.digest;
    let named = said.artifact_type.filter(|name| !name.is_empty());
    let artifact_type = named.or_else(|| said.config.map(|config| config.media_type));
    let annotations = said.annotations.unwrap_or_default();
    Some((subject, Entry { descriptor: Descriptor { annotations, ..descriptor }, artifact_type }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_that_stands_in() {
        let digest = Digest::sha256(b"");
        assert_eq!(stand_in(&digest), format!("sha256-{}", digest.hex()));
        let long: Digest = format!("sha512:{}", "a".repeat(128)).parse().unwrap();
        assert_eq!(stand_in(&long), format!("sha512-{}", "a".repeat(64)));
    }

    #[test]
    fn how_a_manifest_is_listed() {
        let subject = Digest::sha256(b"image");
        let own = Descriptor::new(media_type::OCI_MANIFEST, Digest::sha256(b"x"), 1);
        let config = Descriptor::new("application/x.config", Digest::sha256(b"{}"), 2);
        let read = |value: serde_json::Value| referring(own.clone(), value.to_string().as_bytes());
        let subject_of = Descriptor::new("x", subject.clone(), 5);
        let (found, entry) = read(serde_json::json!({
            "subject": subject_of, "artifactType": "a/b", "config": config, "annotations": {"k": "v"},
        }))
        .unwrap();
        assert_eq!((found, entry.artifact_type.as_deref()), (subject.clone(), Some("a/b")));
        assert_eq!(entry.descriptor.annotations["k"], "v");
        let (_, entry) = read(serde_json::json!({"subject": subject_of, "config": config})).unwrap();
        assert_eq!(entry.artifact_type.as_deref(), Some("application/x.config"));
        assert!(read(serde_json::json!({"config": config})).is_none());
    }
}
