//! An upload becomes an object: a multipart upload that is begun now, so that the object is young, of parts that the store
//! copies itself. S3 wants at least 5 MiB of each part but the last: smaller ones are read, gathered and sent.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use hyper::Method;
use tokio::sync::Semaphore;

use super::super::{Meta, Object as _, Result, StorageError};
use super::bucket::{Ask, Bucket, Failed};
use super::read::Found;
use super::uploads::Parts;
use super::xml::escaped;
use crate::server::config::LEAST_PART;

/// Parts that are copied at once.
const AT_ONCE: usize = 8;

/// The most parts of a multipart upload that we make (S3 takes 10,000).
const MOST_PARTS: u64 = 9_000;

/// The most bytes that S3 copies in one request.
const MOST_COPY: u64 = 5 << 30;

/// A part of the object: pieces of keys, which lie one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    pieces: Vec<(String, Range<u64>)>,
}

/// The parts that an object is made of. Those of one piece are copied.
fn plan(parts: &[(String, Range<u64>)], size: u64) -> Vec<Part> {
    let least = LEAST_PART.max(size.div_ceil(MOST_PARTS));
    let (mut plan, mut open, mut length) = (Vec::new(), Vec::new(), 0);
    for (key, place) in parts {
        let piece = (key.clone(), 0..place.end - place.start);
        length += piece.1.end;
        open.push(piece);
        if length >= least {
            plan.push(Part { pieces: std::mem::take(&mut open) });
            length = 0;
        }
    }
    if !open.is_empty() {
        plan.push(Part { pieces: open });
    }
    plan
}

/// A part that the object has by now.
struct Done {
    number: usize,
    tag: String,
}

impl Bucket {
    /// Makes the object `key` of an upload's parts.
    pub(super) async fn assemble(self: &Arc<Self>, parts: &Parts, key: &str, room: &Semaphore) -> Result<()> {
        match parts.list.as_slice() {
            [] => self.put("finish", key, Bytes::new()).await,
            [(from, place)] if place.end <= MOST_COPY => {
                if self.copy("finish", from, key).await? {
                    Ok(())
                } else {
                    Err(StorageError::NoUpload)
                }
            }
            list => self.multipart(plan(list, parts.meta.size), key, parts.meta.size, room).await,
        }
    }

    /// Makes a large object young: a copy of itself, in parts.
    pub(super) async fn renew_large(self: &Arc<Self>, key: &str, size: u64, room: &Semaphore) -> Result<()> {
        let step = (MOST_COPY / 5).max(size.div_ceil(MOST_PARTS));
        let ranges = (0..size.div_ceil(step)).map(|at| at * step..size.min((at + 1) * step));
        let parts = ranges.map(|range| Part { pieces: vec![(key.to_owned(), range)] }).collect();
        self.multipart(parts, key, size, room).await
    }

    async fn multipart(
        self: &Arc<Self>,
        parts: Vec<Part>,
        key: &str,
        size: u64,
        room: &Semaphore,
    ) -> Result<()> {
        let ask = Ask::new("finish", Method::POST, key.to_owned()).query("uploads", "");
        let (_, begun) = self.document(&ask).await?;
        let id = begun.value("UploadId").map(str::trim).filter(|id| !id.is_empty()).ok_or_else(|| {
            StorageError::Format(format!("the store begins a multipart upload of {key} without an id"))
        })?;
        let outcome = self.fill(parts, key, id, size, room).await;
        if outcome.is_err() {
            // what is left of it is swept
            let ask = Ask::new("give up", Method::DELETE, key.to_owned()).query("uploadId", id);
            drop(self.once(&ask, &[204, 404]).await);
        }
        outcome
    }

    async fn fill(
        self: &Arc<Self>,
        parts: Vec<Part>,
        key: &str,
        id: &str,
        size: u64,
        room: &Semaphore,
    ) -> Result<()> {
        let work: Vec<_> = parts
            .into_iter()
            .enumerate()
            .map(|(at, part)| async move {
                let number = at + 1;
                let tag = match part.pieces.as_slice() {
                    [(from, range)] => self.copy_part(key, id, number, from, range, room).await?,
                    pieces => self.send_part(key, id, number, pieces, room).await?,
                };
                Ok::<_, StorageError>(Done { number, tag })
            })
            .collect();
        let done: Vec<Done> = stream::iter(work).buffered(AT_ONCE).try_collect().await?;
        let mut text =
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">".to_owned();
        for Done { number, tag } in done {
            let tag = escaped(&tag);
            text += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>");
        }
        text += "</CompleteMultipartUpload>";
        let ask = Ask::new("finish", Method::POST, key.to_owned()).query("uploadId", id).body(text);
        match self.document(&ask).await {
            Ok(_) => Ok(()),
            // the answer to an attempt that was made good may be lost
            Err(failed) if failed.made > 1 && failed.code == "NoSuchUpload" => {
                let is_there = |meta: &Meta| meta.size == size;
                let found = self.head("look up", key).await?.filter(is_there);
                if found.is_some() { Ok(()) } else { Err(failed.into()) }
            }
            Err(failed) => Err(failed.into()),
        }
    }

    /// Lets the store copy a piece; where it can't, it goes through here.
    async fn copy_part(
        self: &Arc<Self>,
        key: &str,
        id: &str,
        number: usize,
        from: &str,
        range: &Range<u64>,
        room: &Semaphore,
    ) -> Result<String> {
        let ask = Ask::new("finish", Method::PUT, key.to_owned())
            .query("partNumber", number.to_string())
            .query("uploadId", id)
            .header("x-amz-copy-source", self.source(from))
            .header("x-amz-copy-source-range", format!("bytes={}-{}", range.start, range.end - 1));
        let cannot = |failed: &Failed| failed.status == Some(501) || failed.code == "NotImplemented";
        match self.document(&ask).await {
            Ok((_, copied)) => copied.value("ETag").map(str::to_owned).ok_or_else(|| no_tag(key)),
            Err(failed) if cannot(&failed) => {
                self.send_part(key, id, number, &[(from.to_owned(), range.clone())], room).await
            }
            Err(failed) => Err(failed.into()),
        }
    }

    /// Reads pieces and sends them as one part.
    async fn send_part(
        self: &Arc<Self>,
        key: &str,
        id: &str,
        number: usize,
        pieces: &[(String, Range<u64>)],
        room: &Semaphore,
    ) -> Result<String> {
        // as many as may be in memory, of all uploads
        let _place = room.acquire().await.map_err(|_closed| StorageError::NoUpload)?;
        let mut bytes = BytesMut::new();
        for (from, range) in pieces {
            let meta = Meta { size: range.end, modified: std::time::SystemTime::UNIX_EPOCH };
            let found = Box::new(Found { bucket: Arc::clone(self), key: from.clone(), meta });
            let mut chunks = found.read(range.clone());
            while let Some(chunk) = chunks.next().await {
                bytes.extend_from_slice(&chunk?);
            }
        }
        let ask = Ask::new("finish", Method::PUT, key.to_owned())
            .query("partNumber", number.to_string())
            .query("uploadId", id)
            .body(bytes.freeze());
        let answer = self.send(&ask, &[200]).await?;
        let tag = answer.headers.get(hyper::header::ETAG).and_then(|value| value.to_str().ok());
        tag.map(str::to_owned).ok_or_else(|| no_tag(key))
    }
}

fn no_tag(key: &str) -> StorageError {
    StorageError::Format(format!("the store takes a part of {key} and gives no ETag"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn planned(sizes: &[u64]) -> Vec<Vec<u64>> {
        let mut at = 0;
        let parts: Vec<_> = sizes
            .iter()
            .map(|size| {
                at += size;
                ("x".to_owned(), at - size..at)
            })
            .collect();
        let plan = plan(&parts, at);
        plan.iter().map(|part| part.pieces.iter().map(|(_, range)| range.end).collect()).collect()
    }

    #[test]
    fn only_the_last_part_is_small() {
        assert_eq!(planned(&[8 * MIB, 8 * MIB, 1]), [vec![8 * MIB], vec![8 * MIB], vec![1]]);
        assert_eq!(planned(&[MIB, 8 * MIB, 2]), [vec![MIB, 8 * MIB], vec![2]]);
        assert_eq!(planned(&[4 * MIB, MIB, 3, 5 * MIB]), [vec![4 * MIB, MIB], vec![3, 5 * MIB]]);
        assert_eq!(planned(&[1, 2, 3]), [[1, 2, 3]]);
    }

    #[test]
    fn there_are_never_too_many() {
        let plan = planned(&vec![5 * MIB; 50_000]);
        assert!(plan.len() as u64 <= MOST_PARTS && plan.concat().len() == 50_000);
    }
}
