//! Single objects: looked up, read, put, copied, deleted.

use std::time::SystemTime;

use bytes::Bytes;
use hyper::Method;
use hyper::header::{CONTENT_LENGTH, HeaderMap, HeaderName, LAST_MODIFIED};
use jiff::Timestamp;
use jiff::fmt::rfc2822;

use super::super::{Meta, Result, StorageError};
use super::bucket::{Ask, Bucket, Failed};
use super::xml::Element;

/// Whose part of an upload it is: S3 keeps it with the object.
pub(super) const WRITER: &str = "x-amz-meta-writer";

impl Bucket {
    /// What is known of an object.
    pub(super) async fn head(&self, what: &'static str, key: &str) -> Result<Option<Meta>> {
        self.head_of(what, key).await?.map(|headers| meta(key, &headers)).transpose()
    }

    async fn head_of(&self, what: &'static str, key: &str) -> Result<Option<HeaderMap>> {
        let ask = Ask::new(what, Method::HEAD, key.to_owned());
        let answer = self.send(&ask, &[200, 404]).await?;
        Ok((answer.status == 200).then_some(answer.headers))
    }

    /// The bytes of a small object.
    ///
    /// # Errors
    /// [`StorageError::TooLarge`] when it has more than `limit`.
    pub(super) async fn small(&self, key: &str, limit: u64) -> Result<Option<Bytes>> {
        let ask = Ask::new("read", Method::GET, key.to_owned());
        match self.whole(&ask, limit).await {
            Ok(found) => Ok(found.map(|(_, bytes)| bytes)),
            Err(failed) if failed.is_unusable() => match self.head("look up", key).await? {
                Some(meta) if meta.size > limit => {
                    Err(StorageError::TooLarge { key: key.into(), size: meta.size, limit })
                }
                _ => Err(failed.into()),
            },
            Err(failed) => Err(failed.into()),
        }
    }

    pub(super) async fn put(&self, what: &'static str, key: &str, bytes: Bytes) -> Result<()> {
        let ask = Ask::new(what, Method::PUT, key.to_owned()).body(bytes);
        self.send(&ask, &[200]).await?;
        Ok(())
    }

    /// Makes an object that is not there; whether it is this one. Stores that know no conditions replace one.
    pub(super) async fn create(&self, key: &str, bytes: Bytes, writer: &str) -> Result<bool> {
        let ask = Ask::new("write", Method::PUT, key.to_owned()).body(bytes).header(WRITER, writer);
        match self.send(&ask.clone().header("if-none-match", "*"), &[200]).await {
            Ok(_) => Ok(true),
            // the answer to an attempt that was made good may be lost
            Err(failed) if matches!(failed.status, Some(409 | 412)) => {
                let found = self.head_of("look up", key).await?;
                let name = HeaderName::from_static(WRITER);
                Ok(found.is_some_and(|headers| headers.get(name).is_some_and(|value| value == writer)))
            }
            Err(failed) if failed.status == Some(501) || failed.code == "NotImplemented" => {
                self.send(&ask, &[200]).await?;
                Ok(true)
            }
            Err(failed) => Err(failed.into()),
        }
    }

    /// Copies an object within the store; whether there is one. Its copy is as old as one that is put now, also when it is
    /// itself: for that, S3 wants something to change beside the bytes.
    pub(super) async fn copy(&self, what: &'static str, from: &str, to: &str) -> Result<bool, Failed> {
        let ask = Ask::new(what, Method::PUT, to.to_owned())
            .header("x-amz-copy-source", self.source(from))
            .header("x-amz-metadata-directive", "REPLACE")
            .header("x-amz-meta-touched", Timestamp::now().as_millisecond().to_string());
        match self.document(&ask).await {
            Ok(_) => Ok(true),
            Err(failed) if failed.is_absent() && failed.code != "NoSuchBucket" => Ok(false),
            Err(failed) => Err(failed),
        }
    }

    pub(super) async fn delete(&self, key: &str) -> Result<()> {
        let ask = Ask::new("delete", Method::DELETE, key.to_owned());
        self.send(&ask, &[200, 204, 404]).await?;
        Ok(())
    }

    /// One page of a listing: `query` says of what.
    pub(super) async fn page(&self, query: &[(&'static str, String)]) -> Result<(HeaderMap, Element)> {
        let mut ask = Ask::new("list", Method::GET, None);
        ask.query = query.to_vec();
        Ok(self.document(&ask).await?)
    }
}

/// Size and age as headers tell them.
pub(super) fn meta(key: &str, headers: &HeaderMap) -> Result<Meta> {
    let size = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let modified = headers.get(LAST_MODIFIED).and_then(|value| date(value.to_str().ok()?));
    match (size, modified) {
        (Some(size), Some(modified)) => Ok(Meta { size, modified }),
        _ => Err(StorageError::Format(format!("the store does not say how large or how old {key} is"))),
    }
}

/// A date of a header.
pub(super) fn date(text: &str) -> Option<SystemTime> {
    Some(rfc2822::parse(text).ok()?.timestamp().into())
}
