//! Where a registry keeps its bytes: objects under keys, and uploads that grow at their end.
//!
//! The trait asks for no more than an object store can give: objects appear whole and at once, directories do not exist,
//! and nothing is renamed but an upload that is finished. It is async because such a store is reached over a network; the
//! driver for a file system hands its work to threads that may block. Every driver passes [`conformance`]'s suite.

#[cfg(test)]
pub(crate) mod conformance;
mod files;
mod layout;
mod s3;

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::{Stream, stream};

pub use files::Files;
pub(crate) use layout::{ALGORITHMS, FORMAT, MAX_NAME, component, digest_of, name_of};
pub use layout::{Key, Prefix, UploadId};
pub use s3::S3;

use super::config;

/// What went wrong in a storage.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The system or the network said no.
    #[error("cannot {what} {key} in the storage: {source}")]
    Io {
        /// A verb.
        what: &'static str,
        /// The key, or what else it was about.
        key: String,
        /// The reason.
        source: io::Error,
    },
    /// The store has said several times that it can't now, or has not answered. It may be able to later.
    #[error("cannot {what} {key} in the storage: {reason}")]
    Unavailable {
        /// A verb.
        what: &'static str,
        /// The key.
        key: String,
        /// What came back.
        reason: String,
    },
    /// An object is longer than whoever reads it into memory allows.
    #[error("{key} in the storage has {size} bytes, more than the {limit} that it may have")]
    TooLarge {
        /// The key.
        key: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// An upload is not as long as whoever appends to it thinks.
    #[error("the upload has {size} bytes, not {offset}")]
    Offset {
        /// What it has.
        size: u64,
        /// Where the caller wanted to go on.
        offset: u64,
    },
    /// There is no such upload (any more).
    #[error("there is no such upload")]
    NoUpload,
    /// The storage holds what no registry of this version wrote.
    #[error("{0}")]
    Format(String),
}

/// The outcome of asking a storage.
pub type Result<T, E = StorageError> = std::result::Result<T, E>;

/// Bytes on their way out, in pieces of bounded size.
pub type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// Somebody who reads piece by piece.
pub(crate) trait Pieces: Sized + Send + 'static {
    /// The next piece; `None` at the end.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>>> + Send;

    /// All pieces. An error is the last one.
    fn chunks(self) -> Chunks {
        Box::pin(stream::unfold(Some(self), |reader| async move {
            let mut reader = reader?;
            match reader.next().await {
                Ok(Some(bytes)) => Some((Ok(bytes), Some(reader))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        }))
    }
}

/// What is known of an object without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Bytes.
    pub size: u64,
    /// When it was put or touched.
    pub modified: SystemTime,
}

/// An object that was found. It can be read to its end even when it is deleted meanwhile, as far as the driver can see
/// to that.
pub trait Object: Send {
    /// What is known of it.
    fn meta(&self) -> Meta;
    /// The bytes of a range that lies within it.
    fn read(self: Box<Self>, range: Range<u64>) -> Chunks;
}

/// The end of an upload, open for more. Dropping it keeps what [`Append::write`] has answered for, though others may find
/// it only a moment later, and not at all when this process is killed before [`Append::close`].
#[async_trait::async_trait]
pub trait Append: Send {
    /// Adds bytes.
    async fn write(&mut self, pieces: &[Bytes]) -> Result<()>;
    /// How many bytes of the upload can be found by others now.
    fn settled(&self) -> u64;
    /// What was written can be found by others; the size of the whole upload now.
    async fn close(self: Box<Self>) -> Result<u64>;
}

/// One name in a listing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name below the prefix, without slashes.
    pub name: String,
    /// There are keys below it (it is no object itself).
    pub is_prefix: bool,
}

/// A place for objects and uploads.
#[async_trait::async_trait]
pub trait Storage: Send + Sync + 'static {
    /// The whole of a small object.
    ///
    /// # Errors
    /// [`StorageError::TooLarge`] when it has more bytes than `limit`.
    async fn get(&self, key: &Key, limit: u64) -> Result<Option<Bytes>>;

    /// Makes or replaces an object: whole and durable when this answers, and never half.
    async fn put(&self, key: &Key, bytes: Bytes) -> Result<()>;

    /// What is known of an object.
    async fn stat(&self, key: &Key) -> Result<Option<Meta>>;

    /// Finds an object to read.
    async fn open(&self, key: &Key) -> Result<Option<Box<dyn Object>>>;

    /// Removes an object; whether there was one.
    async fn delete(&self, key: &Key) -> Result<bool>;

    /// Makes an object as young as if it were put now; whether there is one.
    async fn touch(&self, key: &Key) -> Result<bool>;

    /// Removes an object that was put or touched before `cutoff`; whether it did. A driver that can sees to it that no
    /// object goes which is put or touched at the same time.
    async fn delete_aged(&self, key: &Key, cutoff: SystemTime) -> Result<bool>;

    /// At most `limit` names directly below `prefix`, in the order of their bytes, beginning after `after`.
    async fn list(&self, prefix: &Prefix, after: Option<&str>, limit: usize) -> Result<Vec<Entry>>;

    /// Begins an upload, empty.
    async fn upload_begin(&self, upload: &Key) -> Result<()>;

    /// How many bytes an upload has, and when it got the last.
    async fn upload_stat(&self, upload: &Key) -> Result<Option<Meta>>;

    /// Opens the end of an upload that has exactly `offset` bytes.
    ///
    /// # Errors
    /// [`StorageError::Offset`] when it has others, [`StorageError::NoUpload`] when there is none.
    async fn upload_append(&self, upload: &Key, offset: u64) -> Result<Box<dyn Append>>;

    /// Finds what was uploaded so far, to read it again.
    async fn upload_open(&self, upload: &Key) -> Result<Option<Box<dyn Object>>>;

    /// Makes the upload the object `key`, durable and whole, replacing one that is there. The upload is gone then.
    ///
    /// # Errors
    /// [`StorageError::NoUpload`] when there is none.
    async fn upload_finish(&self, upload: &Key, key: &Key) -> Result<()>;

    /// Gives an upload up; whether there was one.
    async fn upload_abort(&self, upload: &Key) -> Result<bool>;

    /// Removes what killed instances have left that is older than `age` and that no listing shows; how much there was.
    async fn sweep(&self, _age: Duration) -> Result<usize> {
        Ok(0)
    }

    /// Where else an object can be read, for a while, by whoever knows this URL.
    async fn location(&self, _key: &Key) -> Result<Option<String>> {
        Ok(None)
    }
}

/// Opens the storage that is configured.
///
/// # Errors
/// When it can't be reached, or holds something else.
pub async fn open(config: &config::Storage) -> Result<Arc<dyn Storage>> {
    Ok(match (&config.path, &config.s3) {
        (Some(path), _) => Arc::new(Files::open(path)?),
        (None, Some(s3)) => Arc::new(S3::open(s3).await?),
        (None, None) => return Err(StorageError::Format("no storage is configured".into())),
    })
}
