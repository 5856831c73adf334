//! What a client lends to a build beside its request.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use ::build::graph::LocalSource;
use oci::Digest;

use crate::registry::Credentials;

/// A client that can be asked. Everything blocks, is called from several threads at once, and ends when the build is
/// cancelled; errors are sentences for people.
pub trait Lent: Send + Sync {
    /// What builds have in common that come from the same directories, empty for nothing.
    fn shared_key(&self) -> &str;

    /// Makes a directory like one of the client's, of which only what differs travels; how many bytes that was.
    ///
    /// # Errors
    /// The client has none of that name, or something went wrong at either end.
    fn directory(&self, wanted: &LocalSource, into: OwnedFd) -> Result<u64, String>;

    /// A stream that the client has named by a URL's host and path.
    ///
    /// # Errors
    /// It has none of that name.
    fn upload(&self, host: &str, path: &str) -> Result<Box<dyn Read + Send>, String>;

    /// A secret's value, `None` if the client has none of that name.
    ///
    /// # Errors
    /// It has one and can't give it.
    fn secret(&self, id: &str) -> Result<Option<Vec<u8>>, String>;

    /// Whether the client has an ssh agent of that name.
    ///
    /// # Errors
    /// It can't be asked.
    fn has_agent(&self, id: &str) -> Result<bool, String>;

    /// Joins a connection with an ssh agent of the client's. Does not wait for its end.
    fn forward(&self, id: &str, connection: UnixStream);

    /// Who the client is at a registry, by its domain.
    ///
    /// # Errors
    /// It can't be asked.
    fn credentials(&self, registry: &str) -> Result<Credentials, String>;

    /// A blob of one of the client's stores, `None` if that doesn't have it. Whoever reads it looks at its digest.
    ///
    /// # Errors
    /// There is no such store, or it can't be read.
    fn content(&self, store: &str, digest: &Digest) -> Result<Option<Box<dyn Read + Send>>, String>;

    /// Gives one of the client's stores a blob of so many bytes, if it doesn't have it.
    ///
    /// # Errors
    /// There is no such store, or it takes nothing; the source can't be read, or has other bytes.
    fn put_content(
        &self,
        store: &str,
        digest: &Digest,
        size: u64,
        source: &mut (dyn Read + Send),
    ) -> Result<(), String>;
}
