//! Tags: names that point to manifests.

use jiff::Timestamp;
use oci::Digest;
use serde::{Deserialize, Serialize};

use super::Repository;
use crate::server::error::{Code, Error, Result};
use crate::server::name::Tag;
use crate::server::storage::{Key, Prefix};

/// The record of a tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TagRecord {
    /// What it points to.
    pub(crate) digest: Digest,
    /// Since when.
    pub(crate) at: Timestamp,
}

impl Repository<'_> {
    /// What a tag points to.
    pub(crate) async fn tag(&self, tag: &Tag) -> Result<Option<TagRecord>> {
        self.record(&Key::tag(self.name, tag)).await
    }

    /// Points a tag to a manifest.
    pub(crate) async fn put_tag(&self, tag: &Tag, digest: &Digest) -> Result<()> {
        let record = TagRecord { digest: digest.clone(), at: Timestamp::now() };
        self.put_record(&Key::tag(self.name, tag), &record).await
    }

    /// Removes a tag; what it pointed to stays.
    ///
    /// # Errors
    /// `MANIFEST_UNKNOWN`
    pub(crate) async fn delete_tag(&self, tag: &Tag) -> Result<()> {
        if self.storage().delete(&Key::tag(self.name, tag)).await? {
            return Ok(());
        }
        Err(Error::new(Code::ManifestUnknown, format!("unknown tag: {tag}")))
    }

    /// At most `limit` tags after `after`, sorted.
    pub(crate) async fn tags(&self, after: Option<&str>, limit: usize) -> Result<Vec<Tag>> {
        let entries = self.storage().list(&Prefix::tags(self.name), after, limit).await?;
        Ok(entries.into_iter().filter_map(|entry| entry.name.parse().ok()).collect())
    }

    /// There is, or was, something in the repository that one could list.
    pub(crate) async fn is_known(&self) -> Result<bool> {
        for prefix in [Prefix::manifests(self.name), Prefix::blobs(self.name)] {
            if !self.storage().list(&prefix, None, 1).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
