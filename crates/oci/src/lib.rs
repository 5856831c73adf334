//! Formats of the Open Container Initiative as values: image references, digests, manifests, configs. No I/O.
//!
//! Everything here is parsed from text or bytes that somebody else wrote, so every parser checks what it
//! accepts and names what it refuses. Types that are identified by the digest of their text (manifests,
//! indexes, image configs) keep the bytes they were read from: encoding them anew could change the digest.

pub mod chain;
mod digest;
pub mod image;
pub mod manifest;
pub mod media_type;
mod platform;
pub mod ports;
mod reference;
mod serde_null;

pub use digest::{Algorithm, Digest, DigestError};
pub use image::{History, Image, ImageConfig};
pub use manifest::{Descriptor, Document, Index, Manifest};
pub use platform::Platform;
pub use reference::{
    AnyReference, DEFAULT_DOMAIN, DEFAULT_TAG, Reference, ReferenceError, is_repository_path, is_tag,
};
