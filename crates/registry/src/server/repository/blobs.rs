//! Blobs: one copy for all repositories, and a link in each that may show it.

use bytes::Bytes;
use oci::Digest;

use super::Repository;
use crate::server::error::{Code, Error, Result};
use crate::server::storage::{Key, Meta, Object};

impl Repository<'_> {
    /// The repository has it: what is known of it. Whether another one does can't be told from the answer.
    pub(crate) async fn blob(&self, digest: &Digest) -> Result<Option<Meta>> {
        if self.storage().stat(&Key::link(self.name, digest)).await?.is_none() {
            return Ok(None);
        }
        Ok(self.storage().stat(&Key::blob(digest)).await?)
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
        if self.storage().stat(&link).await?.is_none() {
            self.storage().put(&link, Bytes::new()).await?;
        }
        Ok(())
    }

    /// The repository has it no more. Its bytes are garbage once no repository does.
    ///
    /// # Errors
    /// `BLOB_UNKNOWN`
    pub(crate) async fn delete_blob(&self, digest: &Digest) -> Result<()> {
        if self.storage().delete(&Key::link(self.name, digest)).await? {
            Ok(())
        } else {
            Err(unknown(digest))
        }
    }
}

/// That a repository has no such blob.
pub(crate) fn unknown(digest: &Digest) -> Error {
    Error::new(Code::BlobUnknown, "blob unknown to registry").detail(serde_json::json!({ "digest": digest }))
}
