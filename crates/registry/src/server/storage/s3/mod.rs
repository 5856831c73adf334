//! The driver for a bucket of an S3-compatible object store.
//!
//! A key is an object. Nothing is half made: PUT, copies and completed multipart uploads appear whole. An object is touched
//! by copying it onto itself. Requests are signed by `rusty_s3` and sent by this crate's own client.

mod assemble;
mod bucket;
mod credentials;
mod guard;
mod list;
mod objects;
mod read;
mod sweep;
mod uploads;
mod xml;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use hyper::Method;
use tokio::sync::Semaphore;

use super::{Append, Entry, FORMAT, Key, Meta, Object, Prefix, Result, Storage, StorageError};
use crate::server::config;
use bucket::{Ask, Bucket};
use read::{Chain, Found};
use uploads::{Budget, Parts, Tail};

/// The most bytes of the record which layout it is.
const FORMAT_LIMIT: u64 = 1024;

/// Objects that are deleted at once.
const AT_ONCE: usize = 16;

/// Parts that are gathered from smaller ones at once, of all uploads.
const GATHERING: usize = 4;

/// How often what a collector has deleted meanwhile is put anew.
const ATTEMPTS: usize = 8;

/// Objects and uploads in a bucket.
pub struct S3 {
    bucket: Arc<Bucket>,
    budget: Arc<Budget>,
    gathering: Semaphore,
    part: usize,
    redirect: Option<Duration>,
}

impl S3 {
    /// Looks into a bucket, and notes in an empty one which layout it will have.
    ///
    /// # Errors
    /// Names the bucket, and says when it holds something else.
    pub async fn open(config: &config::S3) -> Result<Self> {
        let bucket = Arc::new(Bucket::new(config)?);
        let place = format!("the bucket {}, prefix {:?}", bucket.name(), config.prefix);
        let format = Key::format();
        match bucket.small(format.as_str(), FORMAT_LIMIT).await? {
            Some(text) if text == FORMAT => {}
            Some(text) => {
                return Err(StorageError::Format(format!(
                    "{place} is a registry's storage of another version: its object 'format' says {:?}, not {:?}",
                    String::from_utf8_lossy(&text).trim_end(),
                    FORMAT.trim_end()
                )));
            }
            None => {
                let query = [
                    ("list-type", "2".to_owned()),
                    ("max-keys", "1".to_owned()),
                    ("prefix", bucket.full("")),
                ];
                let (_, page) = bucket.page(&query).await?;
                let found = page.children("Contents").any(|one| {
                    // another instance may have begun a moment ago
                    one.value("Key").is_some_and(|key| bucket.short(key) != Some(format.as_str()))
                });
                if found {
                    return Err(StorageError::Format(format!(
                        "{place} is not a registry's storage and not empty: name another prefix"
                    )));
                }
                bucket.put("write", format.as_str(), Bytes::from_static(FORMAT.as_bytes())).await?;
            }
        }
        let size = |bytes: config::Bytes| usize::try_from(bytes.0).unwrap_or(usize::MAX);
        Ok(Self {
            bucket,
            budget: Arc::new(Budget::new(size(config.buffers))),
            gathering: Semaphore::new(GATHERING),
            part: size(config.part_size),
            redirect: config.redirect.then_some(config.redirect_expire.0),
        })
    }

    /// Removes an upload: first that there is one, then its parts. What remains of it when this process is killed in
    /// between is swept.
    async fn remove(&self, upload: &Key, parts: &Parts) -> Result<()> {
        self.bucket.delete(Key::begun(upload).as_str()).await?;
        let keys = parts.list.iter().map(|(key, _)| key).chain(&parts.lost);
        let deleting: Vec<_> = keys.map(|key| self.bucket.delete(key)).collect();
        stream::iter(deleting).buffer_unordered(AT_ONCE).try_collect().await
    }
}

/// That a collector deletes the same thing again and again.
fn contended(what: &'static str, key: &Key) -> StorageError {
    let reason = "it is deleted as garbage again and again".into();
    StorageError::Unavailable { what, key: key.to_string(), reason }
}

#[async_trait::async_trait]
impl Storage for S3 {
    async fn get(&self, key: &Key, limit: u64) -> Result<Option<Bytes>> {
        self.bucket.small(key.as_str(), limit).await
    }

    async fn put(&self, key: &Key, bytes: Bytes) -> Result<()> {
        for _ in 0..ATTEMPTS {
            self.bucket.put("write", key.as_str(), bytes.clone()).await?;
            if self.bucket.survives(key).await? {
                return Ok(());
            }
        }
        Err(contended("write", key))
    }

    async fn stat(&self, key: &Key) -> Result<Option<Meta>> {
        self.bucket.head("look up", key.as_str()).await
    }

    async fn open(&self, key: &Key) -> Result<Option<Box<dyn Object>>> {
        let found = self.bucket.head("open", key.as_str()).await?;
        let bucket = Arc::clone(&self.bucket);
        Ok(found.map(|meta| -> Box<dyn Object> { Box::new(Found { bucket, key: key.to_string(), meta }) }))
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        let is_there = self.stat(key).await?.is_some();
        if is_there {
            self.bucket.delete(key.as_str()).await?;
        }
        Ok(is_there)
    }

    async fn touch(&self, key: &Key) -> Result<bool> {
        let is_there = match self.bucket.copy("touch", key.as_str(), key.as_str()).await {
            Ok(is_there) => is_there,
            // too large to be copied at once
            Err(failed) if failed.status == Some(400) => match self.stat(key).await? {
                Some(meta) if meta.size > 0 => {
                    self.bucket.renew_large(key.as_str(), meta.size, &self.gathering).await?;
                    true
                }
                _ => return Err(failed.into()),
            },
            Err(failed) => return Err(failed.into()),
        };
        Ok(is_there && self.bucket.survives(key).await?)
    }

    async fn delete_aged(&self, key: &Key, cutoff: SystemTime) -> Result<bool> {
        self.bucket.delete_old(key, cutoff).await
    }

    async fn list(&self, prefix: &Prefix, after: Option<&str>, limit: usize) -> Result<Vec<Entry>> {
        self.bucket.names(prefix.as_str(), after, limit).await
    }

    async fn upload_begin(&self, upload: &Key) -> Result<()> {
        self.bucket.put("begin", Key::begun(upload).as_str(), Bytes::new()).await
    }

    async fn upload_stat(&self, upload: &Key) -> Result<Option<Meta>> {
        Ok(self.bucket.parts(upload).await?.map(|parts| parts.meta))
    }

    async fn upload_append(&self, upload: &Key, offset: u64) -> Result<Box<dyn Append>> {
        let size = self.bucket.parts(upload).await?.ok_or(StorageError::NoUpload)?.meta.size;
        if size != offset {
            return Err(StorageError::Offset { size, offset });
        }
        Ok(Box::new(Tail::new(&self.bucket, &self.budget, upload, offset, self.part)))
    }

    async fn upload_open(&self, upload: &Key) -> Result<Option<Box<dyn Object>>> {
        let bucket = Arc::clone(&self.bucket);
        let found = self.bucket.parts(upload).await?;
        Ok(found.map(|Parts { list, meta, .. }| -> Box<dyn Object> {
            Box::new(Chain { bucket, parts: list, meta })
        }))
    }

    async fn upload_finish(&self, upload: &Key, key: &Key) -> Result<()> {
        let parts = self.bucket.parts(upload).await?.ok_or(StorageError::NoUpload)?;
        for _ in 0..ATTEMPTS {
            self.bucket.assemble(&parts, key.as_str(), &self.gathering).await?;
            if self.bucket.survives(key).await? {
                if let Err(error) = self.remove(upload, &parts).await {
                    tracing::warn!("what is left of {upload} is swept later: {error}");
                }
                return Ok(());
            }
        }
        Err(contended("finish", key))
    }

    async fn upload_abort(&self, upload: &Key) -> Result<bool> {
        let Some(parts) = self.bucket.parts(upload).await? else { return Ok(false) };
        self.remove(upload, &parts).await?;
        Ok(true)
    }

    async fn sweep(&self, age: Duration) -> Result<usize> {
        self.bucket.remains(age).await
    }

    async fn location(&self, key: &Key) -> Result<Option<String>> {
        let ask = Ask::new("read", Method::GET, key.to_string());
        Ok(self.redirect.map(|time| self.bucket.sign(&ask, time)))
    }
}
