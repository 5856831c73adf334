//! Reading of files: small ones whole, others in pieces with one read ahead.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use super::super::{Chunks, Key, Meta, Object, StorageError};
use super::{meta, no_follow, present};

/// Bytes that are read at once, and held twice for each answer.
const PIECE: u64 = 256 << 10;

/// The bytes of a file, or how many it has when they are more than `limit`.
pub(super) fn small(path: &Path, limit: u64) -> io::Result<Option<Result<Bytes, u64>>> {
    let Some((file, meta)) = open(path.to_owned())? else { return Ok(None) };
    if meta.size > limit {
        return Ok(Some(Err(meta.size)));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(meta.size).unwrap_or(0));
    (&file).take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    let size = bytes.len() as u64;
    Ok(Some(if size > limit { Err(size) } else { Ok(bytes.into()) }))
}

/// An open file, and what is known of it.
pub(super) fn open(path: PathBuf) -> io::Result<Option<(File, Meta)>> {
    let Some(file) = present(OpenOptions::new().read(true).custom_flags(no_follow()).open(path))? else {
        return Ok(None);
    };
    let found = file.metadata()?;
    if !found.is_file() {
        return Ok(None);
    }
    let meta = meta(&found)?;
    Ok(Some((file, meta)))
}

/// A file as the object `key`.
pub(super) fn object(key: &Key, file: File, meta: Meta) -> Box<dyn Object> {
    Box::new(Opened { key: key.clone(), file: Arc::new(file), meta })
}

struct Opened {
    key: Key,
    file: Arc<File>,
    meta: Meta,
}

impl Object for Opened {
    fn meta(&self) -> Meta {
        self.meta
    }

    fn read(self: Box<Self>, range: Range<u64>) -> Chunks {
        let Self { key, file, .. } = *self;
        let pieces =
            stream::iter(Pieces(range)).map(move |piece| {
                let (file, key) = (Arc::clone(&file), key.clone());
                async move {
                    let read = tokio::task::spawn_blocking(move || exactly(&file, piece)).await;
                    read.unwrap_or_else(|error| Err(io::Error::other(error)))
                        .map_err(|source| StorageError::Io { what: "read", key: key.to_string(), source })
                }
            });
        Box::pin(pieces.buffered(2))
    }
}

/// A range in pieces.
struct Pieces(Range<u64>);

impl Iterator for Pieces {
    type Item = Range<u64>;

    fn next(&mut self) -> Option<Range<u64>> {
        let start = self.0.start;
        if start >= self.0.end {
            return None;
        }
        self.0.start = self.0.end.min(start.saturating_add(PIECE));
        Some(start..self.0.start)
    }
}

fn exactly(file: &File, range: Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_falls_into_pieces() {
        assert_eq!(Pieces(5..5).count(), 0);
        assert!(Pieces(1..PIECE).eq(std::iter::once(1..PIECE)));
        assert_eq!(Pieces(7..7 + PIECE + 1).collect::<Vec<_>>(), [7..7 + PIECE, 7 + PIECE..8 + PIECE]);
    }
}
