//! Objects on their way out: one request for a range, and another one from where it broke off.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use hyper::Method;
use hyper::header::CONTENT_RANGE;

use super::super::{Chunks, Meta, Object, Pieces, Result, StorageError};
use super::bucket::{Ask, Bucket};
use crate::client::net::Body;

/// How often reading goes on without a byte in between.
const ATTEMPTS: u32 = 4;

/// An object that was found.
pub(super) struct Found {
    pub(super) bucket: Arc<Bucket>,
    pub(super) key: String,
    pub(super) meta: Meta,
}

impl Object for Found {
    fn meta(&self) -> Meta {
        self.meta
    }

    fn read(self: Box<Self>, range: Range<u64>) -> Chunks {
        Reader { bucket: self.bucket, key: self.key, range, body: None, failed: 0 }.chunks()
    }
}

/// What is left to read.
struct Reader {
    bucket: Arc<Bucket>,
    key: String,
    range: Range<u64>,
    body: Option<Body>,
    failed: u32,
}

impl Pieces for Reader {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        while self.range.start < self.range.end {
            let mut body = match self.body.take() {
                Some(body) => body,
                None => self.ask().await?,
            };
            let reason = match body.chunk().await {
                Ok(Some(mut bytes)) => {
                    let left = self.range.end - self.range.start;
                    bytes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                    self.range.start += bytes.len() as u64;
                    (self.body, self.failed) = (Some(body), 0);
                    return Ok(Some(bytes));
                }
                Ok(None) => "the store's answer ends too early".to_owned(),
                Err(error) => error.to_string(),
            };
            self.failed += 1;
            if self.failed == ATTEMPTS {
                return Err(StorageError::Unavailable { what: "read", key: self.key.clone(), reason });
            }
        }
        Ok(None)
    }
}

impl Reader {
    /// Asks for what is left.
    async fn ask(&self) -> Result<Body> {
        let Range { start, end } = self.range;
        let ask = Ask::new("read", Method::GET, self.key.clone())
            .header("range", format!("bytes={start}-{}", end - 1));
        let answer = self.bucket.send(&ask, &[200, 206]).await?;
        let told = answer.headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
        let begins = match (answer.status.as_u16(), told) {
            (206, Some(told)) => told.starts_with(&format!("bytes {start}-")),
            (200, _) => start == 0,
            _ => false,
        };
        if !begins {
            return Err(StorageError::Format(format!(
                "the store was asked for {} from byte {start} on and answers something else",
                self.key
            )));
        }
        Ok(answer.body)
    }
}

/// Objects one after the other, as if they were one.
pub(super) struct Chain {
    pub(super) bucket: Arc<Bucket>,
    /// Keys, offsets and sizes, without gaps from zero on.
    pub(super) parts: Vec<(String, Range<u64>)>,
    pub(super) meta: Meta,
}

impl Object for Chain {
    fn meta(&self) -> Meta {
        self.meta
    }

    fn read(self: Box<Self>, range: Range<u64>) -> Chunks {
        let Self { bucket, parts, meta } = *self;
        let chunks = stream::iter(parts).flat_map(move |(key, place)| {
            let wanted = range.start.max(place.start)..range.end.min(place.end);
            if wanted.is_empty() {
                return stream::empty().boxed();
            }
            let found = Found { bucket: Arc::clone(&bucket), key, meta };
            Box::new(found).read(wanted.start - place.start..wanted.end - place.start)
        });
        Box::pin(chunks)
    }
}
