//! How much a client may ask for. What an administrator may change stands in the configuration.

use std::time::Duration;

/// How long a client may take for a request's head, and how long a connection may be idle.
pub(crate) const HEAD_TIME: Duration = Duration::from_secs(75);

/// The most entries on one page of a listing (tags, catalog, referrers).
pub(crate) const PAGE: usize = 1000;

/// The entries on a page when the client does not say.
pub(crate) const DEFAULT_PAGE: usize = 100;

/// The most descriptors of one manifest or index.
pub(crate) const REFERENCES: usize = 4096;

/// The most bytes of a record (a tag, a manifest's) in the storage.
pub(crate) const RECORD: u64 = 1 << 20;

/// The most bytes of a descriptor in a list of referrers: annotations beyond are left out.
pub(crate) const REFERRER: usize = 64 << 10;

/// The most bytes of a list of referrers on one page.
pub(crate) const REFERRERS: usize = 4 << 20;

/// Bytes of an upload that are gathered before they are written and hashed.
pub(crate) const BATCH: usize = 512 << 10;

/// Uploads whose hashes are kept; the hash of another is computed when it is finished.
pub(crate) const HASHED_UPLOADS: usize = 4096;

/// How long a request waits for another that appends to the same upload.
pub(crate) const UPLOAD_BUSY: Duration = Duration::from_secs(10);

/// How long nobody is let in after accepting failed (no descriptors are left, say).
pub(crate) const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Bytes of a request that are read at once, and the most that its head may have.
pub(crate) const BUFFER: usize = 256 << 10;

/// How long a client may take for a TLS handshake.
pub(crate) const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
