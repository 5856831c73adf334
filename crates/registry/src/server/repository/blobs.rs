//! Blobs: one copy for all repositories, and a link in each that may show it.

use bytes::Bytes;
use oci::Digest;

use super::Repository;
use crate::server::error::{Code, Error, Result};
use crate::server::storage::{Key, Meta, Object};

impl Repository<'_> {
    /// The repository has it: what is known of it. Whether another one does can't be told from the answer.
    pub(crate) async fn blob(&self, digest: &Digest) -> Result<Option<Meta>> {
        // first: what is found from here on is not collected any more
        self.registry.activity.told(digest);
        if !self.renew(&Key::link(self.name, digest)).await? {
            return Ok(None);
        }
        Ok(self.storage().stat(&Key::blob(digest)).await?)
    }

    /// There is such an object, and from now on it is young enough to be relied on by a push: also other instances, which
    /// share the storage and don't know what is in use here, don't collect it for half of the grace period.
    pub(crate) async fn renew(&self, key: &Key) -> Result<bool> {
        let Some(meta) = self.storage().stat(key).await? else { return Ok(false) };
        if self.registry.is_young(&meta) {
            return Ok(true);
        }
        Ok(self.storage().touch(key).await?)
    }

    /// Gives what a manifest refers to a grace period from now on: who has just pulled the manifest pulls the rest.
    pub(crate) async fn spare(&self, digest: &Digest) -> Result<()> {
        self.storage().touch(&Key::link(self.name, digest)).await?;
        Ok(())
    }

    /// Opens it to be read.
    ///
    /// # Errors
    /// `BLOB_UNKNOWN`
    pub(crate) async fn open_blob(&self, digest: &Digest) -> Result<Box<dyn Object>> {
        let unknown = || unknown(digest);
        self.storage().stat(&Key::link(self.name, digest)).await?.ok_or_else(unknown)?;
        self.storage().open(&Key::blob(digest)).await?.ok_or_else(unknown)
    }

    /// The repository has it from now on.
    pub(crate) async fn link_blob(&self, digest: &Digest) -> Result<()> {
        let link = Key::link(self.name, digest);
        if !self.renew(&link).await? {
            self.storage().put(&link, Bytes::new()).await?;
        }
        Ok(())
    }

    /// The repository has it no more. Its bytes are garbage once no repository does.
    ///
    /// # Errors
    /// `BLOB_UNKNOWN`
    pub(crate) async fn delete_blob(&self, digest: &Digest) -> Result<()> {
        let link = Key::link(self.name, digest);
        if self.storage().stat(&link).await?.is_some() {
            // before: a push that has found the link a moment ago may rely on the bytes for the grace period
            self.storage().touch(&Key::blob(digest)).await?;
        }
        if self.storage().delete(&link).await? { Ok(()) } else { Err(unknown(digest)) }
    }
}

/// That a repository has no such blob.
pub(crate) fn unknown(digest: &Digest) -> Error {
    Error::new(Code::BlobUnknown, "blob unknown to registry").detail(serde_json::json!({ "digest": digest }))
}
