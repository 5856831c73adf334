//! Manifests: resolved, fetched, put, deleted.

use bytes::Bytes;
use hyper::Method;
use hyper::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use oci::manifest::{Descriptor, ManifestError};
use oci::{Digest, Document, media_type};

use super::digest;
use super::endpoint::Capability;
use super::error::{Error, Result, clean};
use super::exchange::{Call, Content, Peer, finish};
use super::limits::MAX_MANIFEST;
use super::repository::Repository;
use super::url::Url;

/// What the registry says the content's digest is.
pub(crate) const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// The types we can read, the richest first.
const TYPES: [&str; 4] = [
    media_type::OCI_INDEX,
    media_type::OCI_MANIFEST,
    media_type::DOCKER_MANIFEST_LIST,
    media_type::DOCKER_MANIFEST,
];

/// Which manifest of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Whatever the tag means now.
    Tag(String),
    /// The one with this digest.
    Digest(Digest),
}

impl Target {
    /// What a reference means: its digest, else its tag, else `latest`.
    pub fn of(reference: &oci::Reference) -> Self {
        match (reference.digest(), reference.tag()) {
            (Some(digest), _) => Self::Digest(digest.clone()),
            (None, Some(tag)) => Self::Tag(tag.into()),
            (None, None) => Self::Tag(oci::DEFAULT_TAG.into()),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Tag(tag) => tag,
            Self::Digest(digest) => digest.as_str(),
        }
    }
}

/// A manifest or an index as the registry has it.
#[derive(Clone, Debug)]
pub struct FetchedManifest {
    /// Its type, digest and size: what a reference to it holds.
    pub descriptor: Descriptor,
    /// The very bytes that the digest is of.
    pub bytes: Bytes,
    /// What they say.
    pub document: Document,
}

impl Repository {
    /// What `target` means now, without fetching it where the registry tells.
    ///
    /// The digest of a tag is the registry's word; it is proved when the manifest is fetched by that digest.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is no such manifest; [`Error`].
    pub async fn resolve(&self, target: &Target) -> Result<Descriptor> {
        let mut tries = self.tries(Capability::Resolve).await?;
        loop {
            let result = self.resolve_at(tries.peer(), target).await;
            if let Some(result) = tries.judge(result) {
                return result;
            }
        }
    }

    /// A manifest or an index. Its bytes have the digest that was asked for, and are what its type says.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is no such manifest; [`Error::Digest`], [`Error::Manifest`],
    /// [`Error::TooLarge`] when what came cannot be taken; [`Error`].
    pub async fn manifest(&self, target: &Target) -> Result<FetchedManifest> {
        let capability =
            if matches!(target, Target::Tag(_)) { Capability::Resolve } else { Capability::Pull };
        let mut tries = self.tries(capability).await?;
        loop {
            let result = self.manifest_at(tries.peer(), target).await;
            if let Some(result) = tries.judge(result) {
                return result;
            }
        }
    }

    /// Puts a manifest's very bytes under a tag or its digest, and returns the digest. One with a `subject` is listed
    /// by [`Repository::referrers`], whatever the registry can do.
    ///
    /// # Errors
    /// [`Error`]; the registry refuses manifests whose blobs it does not have.
    pub async fn put_manifest(&self, target: &Target, media_type: &str, bytes: Bytes) -> Result<Digest> {
        let digest = match target {
            Target::Digest(digest) => {
                digest::compare("the manifest", digest, &digest::text(digest.algorithm(), &bytes))?;
                digest.clone()
            }
            Target::Tag(_) => Digest::sha256(&bytes),
        };
        let mut tries = self.tries(Capability::Push).await?;
        loop {
            let result = self.put_manifest_at(tries.peer(), target, media_type, &bytes, &digest).await;
            if let Some(result) = tries.judge(result) {
                return result.map(|()| digest);
            }
        }
    }

    /// Deletes a manifest, or takes a tag away where the registry can do so.
    ///
    /// # Errors
    /// [`Error::is_not_found`]; status 405 when the registry deletes nothing; [`Error`].
    pub async fn delete_manifest(&self, target: &Target) -> Result<()> {
        let mut tries = self.tries(Capability::Push).await?;
        loop {
            let url = self.manifest_url(tries.peer(), target);
            let call = Call::new(Method::DELETE, url, self.deleting());
            let result = tries.peer().call(&call, &[200, 202, 204]).await;
            let result = match result {
                Ok(answer) => {
                    finish(answer).await;
                    Ok(())
                }
                Err(error) => Err(error),
            };
            if let Some(result) = tries.judge(result) {
                return result;
            }
        }
    }

    fn manifest_url(&self, peer: &Peer, target: &Target) -> Url {
        peer.endpoint.url(&format!("/{}/manifests/{}", self.path, target.as_str()))
    }

    fn asking(&self, method: Method, peer: &Peer, target: &Target) -> Call {
        let call = Call::new(method, self.manifest_url(peer, target), self.pulling());
        TYPES.into_iter().fold(call, |call, name| call.header(ACCEPT, HeaderValue::from_static(name)))
    }

    async fn resolve_at(&self, peer: &Peer, target: &Target) -> Result<Descriptor> {
        let answer = match peer.call(&self.asking(Method::HEAD, peer, target), &[200]).await {
            Ok(answer) => answer,
            // the answer to HEAD says no more than a number; that to GET says why
            Err(error) if matches!(error.status(), Some(400..=499)) && !error.is_transient() => {
                return self.manifest_at(peer, target).await.map(|manifest| manifest.descriptor);
            }
            Err(error) => return Err(error),
        };
        let told = told_digest(&answer.headers, &answer.place.url)?;
        let size = answer.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let kind = content_type(&answer.headers).filter(|kind| is_known(kind));
        match (told, size, kind) {
            (Some(digest), Some(size), Some(kind)) => {
                if let Target::Digest(wanted) = target {
                    digest::compare(&self.name(target), wanted, digest.as_str())?;
                }
                check_size(&self.name(target), size)?;
                Ok(Descriptor::new(kind, digest, size))
            }
            _ => self.manifest_at(peer, target).await.map(|manifest| manifest.descriptor),
        }
    }

    pub(crate) async fn manifest_at(&self, peer: &Peer, target: &Target) -> Result<FetchedManifest> {
        let what = self.name(target);
        let answer = peer.fetch(&self.asking(Method::GET, peer, target), MAX_MANIFEST, &what).await?;
        let bytes = answer.bytes;
        let told = told_digest(&answer.headers, &answer.url)?;
        let digest = match (target, told) {
            // who knows the digest needs nobody's word for it
            (Target::Digest(digest), _) => digest.clone(),
            (Target::Tag(_), Some(digest)) => digest,
            (Target::Tag(_), None) => Digest::sha256(&bytes),
        };
        digest::compare(&what, &digest, &digest::text(digest.algorithm(), &bytes))?;
        let document =
            Document::parse(&bytes).map_err(|source| Error::Manifest { what: what.clone(), source })?;
        let kind = media_type_of(content_type(&answer.headers), &document)
            .map_err(|source| Error::Manifest { what, source })?;
        let descriptor = Descriptor::new(&kind, digest, bytes.len() as u64);
        Ok(FetchedManifest { descriptor, bytes, document })
    }

    async fn put_manifest_at(
        &self,
        peer: &Peer,
        target: &Target,
        media_type: &str,
        bytes: &Bytes,
        digest: &Digest,
    ) -> Result<()> {
        let headers = self.send_manifest(peer, target, media_type, bytes, digest).await?;
        let descriptor = Descriptor::new(media_type, digest.clone(), bytes.len() as u64);
        self.note_subject(peer, &headers, descriptor, bytes).await
    }

    /// Puts the bytes, and nothing else; what the answer's head says.
    pub(crate) async fn send_manifest(
        &self,
        peer: &Peer,
        target: &Target,
        media_type: &str,
        bytes: &Bytes,
        digest: &Digest,
    ) -> Result<HeaderMap> {
        let what = self.name(target);
        check_size(&what, bytes.len() as u64)?;
        let kind = HeaderValue::try_from(media_type).map_err(|error| Error::config(&what, error))?;
        let mut call = Call::new(Method::PUT, self.manifest_url(peer, target), self.pushing());
        call = call.header(CONTENT_TYPE, kind);
        call.content = Content::Bytes(bytes.clone());
        let answer = peer.call(&call, &[200, 201, 202]).await?;
        if let Some(told) = told_digest(&answer.headers, &answer.place.url)?
            && told.algorithm() == digest.algorithm()
        {
            digest::compare(&what, digest, told.as_str())?;
        }
        let headers = answer.headers.clone();
        finish(answer).await;
        Ok(headers)
    }

    /// What a message calls it.
    fn name(&self, target: &Target) -> String {
        let sign = if matches!(target, Target::Tag(_)) { ':' } else { '@' };
        format!("{}/{}{sign}{}", self.registry.domain, self.path, target.as_str())
    }
}

fn check_size(what: &str, size: u64) -> Result<()> {
    if size > MAX_MANIFEST {
        return Err(Error::TooLarge { what: what.into(), limit: MAX_MANIFEST });
    }
    Ok(())
}

/// `Docker-Content-Digest`.
pub(crate) fn told_digest(headers: &HeaderMap, at: &Url) -> Result<Option<Digest>> {
    let Some(value) = headers.get(DOCKER_CONTENT_DIGEST) else { return Ok(None) };
    let text = String::from_utf8_lossy(value.as_bytes());
    let digest = text.parse();
    digest
        .map(Some)
        .map_err(|error| Error::protocol(at, format!("Docker-Content-Digest {:?}: {error}", clean(&text))))
}

/// The type without its parameters.
pub(crate) fn content_type(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(text.split(';').next().unwrap_or_default().trim())
}

fn is_known(kind: &str) -> bool {
    media_type::is_manifest(kind) || media_type::is_index(kind)
}

/// What the manifest is: header, `mediaType` and shape must not contradict each other (CVE-2021-41190).
fn media_type_of(header: Option<&str>, document: &Document) -> Result<String, ManifestError> {
    let (own, is_index) = match document {
        Document::Manifest(manifest) => (manifest.media_type.as_deref(), false),
        Document::Index(index) => (index.media_type.as_deref(), true),
    };
    let own = own.filter(|own| !own.is_empty());
    let header = header.filter(|header| is_known(header));
    match (header, own) {
        (Some(header), Some(own)) if header != own => Err(ManifestError::MediaType(header.into())),
        (Some(header), None) if media_type::is_index(header) != is_index => {
            Err(ManifestError::MediaType(header.into()))
        }
        (Some(kind), _) | (None, Some(kind)) => Ok(kind.into()),
        // only OCI's may leave it out
        (None, None) if is_index => Ok(media_type::OCI_INDEX.into()),
        (None, None) => Ok(media_type::OCI_MANIFEST.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(media_type: &str) -> Document {
        let own =
            if media_type.is_empty() { String::new() } else { format!(r#""mediaType":"{media_type}","#) };
        Document::parse(format!(r#"{{"schemaVersion":2,{own}"manifests":[]}}"#).as_bytes()).unwrap()
    }

    #[test]
    fn type_of_a_manifest() {
        let (index, list) = (media_type::OCI_INDEX, media_type::DOCKER_MANIFEST_LIST);
        let kind = |header, own| media_type_of(header, &document(own));
        assert_eq!(kind(Some(index), index).unwrap(), index);
        assert_eq!(kind(Some(index), "").unwrap(), index);
        assert_eq!(kind(Some("text/plain"), list).unwrap(), list);
        assert_eq!(kind(Some("application/json"), "").unwrap(), index);
        assert_eq!(kind(None, "").unwrap(), index);
        for (header, own) in [
            (list, index),
            (media_type::OCI_MANIFEST, ""),
            (media_type::DOCKER_MANIFEST, ""),
            (media_type::OCI_MANIFEST, index),
        ] {
            assert!(kind(Some(header), own).is_err(), "{header} {own}");
        }
    }

    #[test]
    fn what_references_mean() {
        let parse = |text| Target::of(&oci::Reference::parse(text).unwrap());
        assert_eq!(parse("a"), Target::Tag("latest".into()));
        assert_eq!(parse("a:b"), Target::Tag("b".into()));
        let digest = Digest::sha256(b"");
        assert_eq!(parse(&format!("a:b@{digest}")), Target::Digest(digest));
    }
}
