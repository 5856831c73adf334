//! Manifests: bytes like a blob's, and a record in the repository that has them.

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use oci::{Digest, media_type};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Repository;
use super::document::{Descriptor, Document, invalid};
use super::references::references;
use super::tags::TagRecord;
use crate::server::error::{Code, Error, Result};
use crate::server::name::Tag;
use crate::server::storage::{Key, Meta};

/// Blobs that are looked for at once.
const AT_ONCE: usize = 16;

/// Tags that are looked at for a manifest that goes, at once.
const TAGS_PAGE: usize = 1000;

/// The record of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ManifestRecord {
    pub(crate) media_type: String,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<Digest>,
}

impl Repository<'_> {
    /// What is known of a manifest.
    pub(crate) async fn manifest(&self, digest: &Digest) -> Result<Option<ManifestRecord>> {
        self.record(&Key::manifest(self.name, digest)).await
    }

    /// The bytes of a manifest.
    ///
    /// # Errors
    /// `MANIFEST_UNKNOWN`
    pub(crate) async fn manifest_bytes(&self, digest: &Digest) -> Result<Bytes> {
        let found = self.storage().get(&Key::blob(digest), oci::manifest::MAX_DOCUMENT).await?;
        found.ok_or_else(|| unknown(digest.as_str()))
    }

    /// Takes a manifest in, and points tags to it.
    ///
    /// # Errors
    /// `MANIFEST_BLOB_UNKNOWN` when it refers to what the repository does not have.
    pub(crate) async fn put_manifest(
        &self,
        digest: &Digest,
        bytes: Bytes,
        document: &Document,
        tags: &[Tag],
    ) -> Result<()> {
        let _pushing = self.registry.activity.pushing().await;
        self.check_references(document).await?;
        let size = bytes.len() as u64;
        let _counted = self.registry.quotas.allow(self.registry, self.name, digest, size, document).await?;
        self.store_manifest(digest, bytes, document, tags).await
    }

    /// Keeps a manifest, whether or not what it refers to is here.
    pub(crate) async fn store_manifest(
        &self,
        digest: &Digest,
        bytes: Bytes,
        document: &Document,
        tags: &[Tag],
    ) -> Result<()> {
        let (size, blob) = (bytes.len() as u64, Key::blob(digest));
        let _hold = self.registry.activity.hold(digest);
        let is_there = |meta: Meta| meta.size == size && self.registry.is_young(&meta);
        if !self.storage().stat(&blob).await?.is_some_and(is_there) {
            self.storage().put(&blob, bytes).await?;
        }
        let record = ManifestRecord {
            media_type: document.media_type.clone(),
            size,
            subject: document.subject.clone(),
        };
        self.put_record(&Key::manifest(self.name, digest), &record).await?;
        if let Some(subject) = &document.subject {
            let key = Key::referrer(self.name, subject, digest);
            self.put_record(&key, &document.referrer(digest, size)).await?;
        }
        for tag in tags {
            self.put_tag(tag, digest).await?;
        }
        Ok(())
    }

    /// Removes a manifest, all tags that point to it, and its place among what refers to its subject; the tags.
    ///
    /// # Errors
    /// `MANIFEST_UNKNOWN`
    pub(crate) async fn delete_manifest(&self, digest: &Digest) -> Result<Vec<Tag>> {
        let record = self.manifest(digest).await?.ok_or_else(|| unknown(digest.as_str()))?;
        self.spare_references(digest).await?;
        let tags = self.tags_of(digest).await?;
        for tag in &tags {
            self.storage().delete(&Key::tag(self.name, tag)).await?;
        }
        if let Some(subject) = &record.subject {
            self.storage().delete(&Key::referrer(self.name, subject, digest)).await?;
        }
        self.storage().delete(&Key::manifest(self.name, digest)).await?;
        Ok(tags)
    }

    /// What only this manifest refers to is collected a grace period from now at the earliest.
    async fn spare_references(&self, digest: &Digest) -> Result<()> {
        self.storage().touch(&Key::blob(digest)).await?;
        let bytes = self.storage().get(&Key::blob(digest), oci::manifest::MAX_DOCUMENT).await?;
        let found = bytes.and_then(|bytes| references(&bytes)).unwrap_or_default();
        let sparing: Vec<_> = found.iter().map(|one| self.spare(one)).collect();
        stream::iter(sparing).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// The tags that point to a manifest.
    pub(crate) async fn tags_of(&self, digest: &Digest) -> Result<Vec<Tag>> {
        let mut found = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.tags(after.as_deref(), TAGS_PAGE).await?;
            let reading: Vec<_> =
                page.iter().map(|tag| async move { Ok::<_, Error>((tag, self.tag(tag).await?)) }).collect();
            let read: Vec<_> = stream::iter(reading).buffered(AT_ONCE).try_collect().await?;
            let points = |record: Option<TagRecord>| record.is_some_and(|record| record.digest == *digest);
            found.extend(
                read.into_iter().filter(|(_, record)| points(record.clone())).map(|(tag, _)| tag.clone()),
            );
            match page.last() {
                Some(last) if page.len() == TAGS_PAGE => after = Some(last.to_string()),
                _ => return Ok(found),
            }
        }
    }

    async fn check_references(&self, document: &Document) -> Result<()> {
        let blobs: Vec<_> = document.blobs.iter().map(|blob| self.check_blob(blob)).collect();
        let mut missing: Vec<_> = stream::iter(blobs).buffered(AT_ONCE).try_collect().await?;
        if !self.registry.config.manifests.sparse_indexes {
            let manifests: Vec<_> =
                document.manifests.iter().map(|child| self.check_manifest(child)).collect();
            missing.append(&mut stream::iter(manifests).buffered(AT_ONCE).try_collect().await?);
        }
        let missing: Vec<_> = missing.into_iter().flatten().collect();
        let Some(first) = missing.first() else { return Ok(()) };
        let more = if missing.len() > 1 { format!(" and {} more", missing.len() - 1) } else { String::new() };
        Err(Error::new(
            Code::ManifestBlobUnknown,
            format!("manifest references what this repository does not have: {first}{more}"),
        )
        .detail(json!({ "digest": first })))
    }

    async fn check_blob(&self, blob: &Descriptor) -> Result<Option<Digest>> {
        let found = self.blob(&blob.digest).await?;
        judge(blob, found.map(|meta| meta.size))
    }

    async fn check_manifest(&self, child: &Descriptor) -> Result<Option<Digest>> {
        // young from now on: the rules of retention leave it alone until the index is there
        self.renew(&Key::manifest(self.name, &child.digest)).await?;
        let found = self.manifest(&child.digest).await?;
        judge(child, found.map(|record| record.size))
    }
}

/// Whether what a descriptor points to is missing.
fn judge(descriptor: &Descriptor, size: Option<u64>) -> Result<Option<Digest>> {
    match size {
        None => Ok(Some(descriptor.digest.clone())),
        Some(size) if size != descriptor.size => {
            Err(invalid(format!("{} has {size} bytes, not {}", descriptor.digest, descriptor.size)))
        }
        Some(_) => Ok(None),
    }
}

/// That a repository has no such manifest.
pub(crate) fn unknown(reference: &str) -> Error {
    Error::new(Code::ManifestUnknown, "manifest unknown").detail(json!({ "reference": reference }))
}

/// The manifest of an index for clients that take no index: the one for Linux on amd64, as Docker's registry has it.
pub(crate) fn default_child(bytes: &[u8]) -> Option<Digest> {
    let index: oci::Index = serde_json::from_slice(bytes).ok()?;
    let fits = |child: &&oci::Descriptor| {
        media_type::is_manifest(&child.media_type)
            && child.platform.as_ref().is_some_and(|one| one.os == "linux" && one.architecture == "amd64")
    };
    index.manifests.iter().find(fits).map(|child| child.digest.clone())
}
