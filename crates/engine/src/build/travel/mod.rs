//! Caches that come from elsewhere and go elsewhere: in an image (`inline`), or by themselves in a registry or in a
//! directory of the client's (`local`); and images that clients lend.
//!
//! What comes in is a stranger's word of what a piece of work has made, as far as the user trusts the place that it
//! comes from: the key says which work, digests say which bytes. It never says what another piece of work has made.

mod elsewhere;
mod export;
mod import;
mod layout;
mod origin;

use oci::{Digest, Reference};
use store::Form;

pub(super) use elsewhere::Elsewhere;
pub(super) use export::{inline, send};
pub(super) use import::{Imported, open};
pub(super) use layout::LentImage;

/// What begins the name that a client's session gives a directory of caches.
const STORE: &str = "local:";

/// Where results of other builds may be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheImport {
    /// In a registry: a cache, or an image that carries one.
    Registry(Reference),
    /// In a directory of the client's.
    Client {
        /// The directory, as the client calls it.
        src: String,
        /// Which of its caches: the digest of a manifest or an index.
        digest: Digest,
    },
}

/// Where the results of a build go for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheExport {
    /// Where.
    pub to: CacheTarget,
    /// All results (`mode=max`), not only those whose layers are in the result (`mode=min`).
    pub max: bool,
    /// If it fails, the build does not.
    pub ignore_error: bool,
}

/// See [`CacheExport`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheTarget {
    /// Into the image that is built.
    Inline,
    /// To a registry.
    Registry {
        /// The name that it gets.
        reference: Reference,
        /// Its form.
        form: CacheForm,
    },
    /// Into a directory of the client's.
    Client {
        /// The directory, as the client calls it.
        dest: String,
        /// Its form.
        form: CacheForm,
        /// How layers are compressed.
        compression: Form,
    },
}

/// The form of the document over a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheForm {
    /// As a manifest like an image's; otherwise as an index, as BuildKit before 0.21 did. `None` = as a manifest,
    /// unless it has more layers than those may have.
    pub image_manifest: Option<bool>,
    /// With OCI's media types of layers, not Docker's.
    pub oci_types: bool,
}
