//! The whole tree of a registry's storage, drawn once. Nothing else spells a key.
//!
//! ```text
//! format                                             which layout this is
//! lock                                               taken by what puts and what collects, where a storage is a directory
//! blobs/ALGORITHM/HE/HEX                             bytes of a blob or a manifest, once for all repositories
//! repositories/NAME/blobs/ALGORITHM-HEX              empty: this repository has the blob
//! repositories/NAME/manifests/ALGORITHM-HEX          record of a manifest: media type, size, subject
//! repositories/NAME/tags/TAG                         record of a tag: digest
//! repositories/NAME/referrers/ALGORITHM-HEX/ALGORITHM-HEX    subject / descriptor of a manifest that refers to it
//! uploads/NAME/ID                                    an upload, as long as it has come
//! ```
//!
//! In an object store, where nothing grows and nothing is locked, there are instead, and besides:
//!
//! ```text
//! uploads/NAME/ID/begin                              empty: there is such an upload
//! uploads/NAME/ID/OFFSET                             its bytes from there on (16 hexadecimal digits)
//! condemned/KEY/RANDOM                               empty: a collector is about to delete KEY
//! ```
//!
//! NAME is one component: the slashes of `a/b` become `+`, and `!` ends it. So names are in the same order in a directory
//! and in an object store, which compares the slash after a name with what other names go on with; and it is the order
//! of Docker's catalog, in which a slash comes before everything else.

use std::fmt;

use oci::{Algorithm, Digest};

use crate::server::name::{Name, Tag};
use crate::server::random;

/// The most bytes that a name of a repository may have: one component of a path has 255, and one is the end's.
pub(crate) const MAX_NAME: usize = 254;

/// What stands in the object `format`.
pub(crate) const FORMAT: &str = "berth-registry 1\n";

const SLASH: &str = "+";
const END: char = '!';

/// The key of an object: components with slashes between, each made of checked values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(String);

/// What keys begin with: whole components.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Prefix(String);

impl Key {
    /// The text, relative to the storage's root.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of the record which layout it is.
    pub(crate) fn format() -> Self {
        Self("format".into())
    }

    /// Bytes of a blob or manifest.
    pub(crate) fn blob(digest: &Digest) -> Self {
        let hex = digest.hex();
        Self(format!("blobs/{}/{}/{hex}", digest.algorithm().as_str(), hex.get(..2).unwrap_or("00")))
    }

    /// That a repository has a blob.
    pub(crate) fn link(name: &Name, digest: &Digest) -> Self {
        Self(format!("repositories/{}/blobs/{}", component(name), flat(digest)))
    }

    /// The record of a manifest.
    pub(crate) fn manifest(name: &Name, digest: &Digest) -> Self {
        Self(format!("repositories/{}/manifests/{}", component(name), flat(digest)))
    }

    /// The record of a tag.
    pub(crate) fn tag(name: &Name, tag: &Tag) -> Self {
        Self(format!("repositories/{}/tags/{tag}", component(name)))
    }

    /// The descriptor of `manifest`, which refers to `subject`.
    pub(crate) fn referrer(name: &Name, subject: &Digest, manifest: &Digest) -> Self {
        Self(format!("repositories/{}/referrers/{}/{}", component(name), flat(subject), flat(manifest)))
    }

    /// An upload.
    pub(crate) fn upload(name: &Name, id: &UploadId) -> Self {
        Self(format!("uploads/{}/{id}", component(name)))
    }

    /// That there is such an upload.
    pub(crate) fn begun(upload: &Self) -> Self {
        Self(format!("{upload}/begin"))
    }

    /// The bytes of an upload from an offset on.
    pub(crate) fn part(upload: &Self, offset: u64) -> Self {
        Self(format!("{upload}/{offset:016x}"))
    }

    /// That somebody is about to delete `key`.
    pub(crate) fn condemned(key: &Self, id: &str) -> Self {
        Self(format!("condemned/{key}/{id}"))
    }

    /// Garbage goes by its age: bytes of blobs and manifests, and places of blobs in repositories.
    pub(crate) fn is_collected(&self) -> bool {
        let mut parts = self.0.split('/');
        match parts.next() {
            Some("blobs") => true,
            Some("repositories") => parts.nth(1) == Some("blobs"),
            _ => false,
        }
    }

    /// Any key, for tests of drivers.
    #[cfg(test)]
    pub(crate) fn raw(text: &str) -> Self {
        Self(text.into())
    }
}

/// The offset of the part of an upload that has this name. None: it is none.
pub(crate) fn offset_of(name: &str) -> Option<u64> {
    (name.len() == 16).then(|| u64::from_str_radix(name, 16).ok()).flatten()
}

impl Prefix {
    /// The text, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// All repositories.
    pub(crate) fn repositories() -> Self {
        Self("repositories".into())
    }

    /// All manifests of a repository.
    pub(crate) fn manifests(name: &Name) -> Self {
        Self(format!("repositories/{}/manifests", component(name)))
    }

    /// All blobs that a repository has.
    pub(crate) fn blobs(name: &Name) -> Self {
        Self(format!("repositories/{}/blobs", component(name)))
    }

    /// All tags of a repository.
    pub(crate) fn tags(name: &Name) -> Self {
        Self(format!("repositories/{}/tags", component(name)))
    }

    /// What refers to a manifest.
    pub(crate) fn referrers(name: &Name, subject: &Digest) -> Self {
        Self(format!("repositories/{}/referrers/{}", component(name), flat(subject)))
    }

    /// The directories of blobs of one algorithm.
    pub(crate) fn shards(algorithm: Algorithm) -> Self {
        Self(format!("blobs/{}", algorithm.as_str()))
    }

    /// One of them, as [`Prefix::shards`] lists it.
    pub(crate) fn shard(algorithm: Algorithm, name: &str) -> Self {
        Self(format!("blobs/{}/{name}", algorithm.as_str()))
    }

    /// The repositories that have uploads.
    pub(crate) fn uploading() -> Self {
        Self("uploads".into())
    }

    /// The uploads of a repository.
    pub(crate) fn uploads(name: &Name) -> Self {
        Self(format!("uploads/{}", component(name)))
    }

    /// What an upload consists of, where it is several objects.
    pub(crate) fn parts(upload: &Key) -> Self {
        Self(upload.0.clone())
    }

    /// Who is about to delete a key.
    pub(crate) fn condemned(key: &Key) -> Self {
        Self(format!("condemned/{key}"))
    }

    /// Who is about to delete anything.
    pub(crate) fn all_condemned() -> Self {
        Self("condemned".into())
    }

    /// Any prefix, for tests of drivers.
    #[cfg(test)]
    pub(crate) fn raw(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a repository is called in listings of [`Prefix::repositories`] and [`Prefix::uploading`].
pub(crate) fn component(name: &Name) -> String {
    let mut text = name.as_str().replace('/', SLASH);
    text.push(END);
    text
}

/// The name of a repository that a listing calls so.
pub(crate) fn name_of(component: &str) -> Option<Name> {
    component.strip_suffix(END)?.replace(SLASH, "/").parse().ok()
}

/// A digest as one component.
fn flat(digest: &Digest) -> String {
    format!("{}-{}", digest.algorithm().as_str(), digest.hex())
}

/// The digest that a listing calls so.
pub(crate) fn digest_of(component: &str) -> Option<Digest> {
    let (algorithm, hex) = component.split_once('-')?;
    format!("{algorithm}:{hex}").parse().ok()
}

/// The algorithms that blobs may be named by.
pub(crate) const ALGORITHMS: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Sha512];

/// What an upload is called: 128 random bits, written as a UUID (version 4).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UploadId(String);

impl UploadId {
    /// A new one.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn random() -> std::io::Result<Self> {
        let mut bytes = random::bytes::<16>()?;
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex = hex::encode(bytes);
        let groups = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
        Ok(Self(groups.join("-")))
    }

    /// The one that a client names.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() == 36
            && text.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            });
        fits.then(|| Self(text.into()))
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_component_and_come_back() {
        let name: Name = "a/b-c/d".parse().unwrap();
        assert_eq!(component(&name), "a+b-c+d!");
        assert_eq!(name_of("a+b-c+d!"), Some(name));
        assert_eq!(name_of("a+b"), None);
        assert_eq!(name_of("..!"), None);
    }

    #[test]
    fn names_are_in_one_order_with_and_without_slash() {
        let mut names: Vec<String> = ["a", "a/b", "a-b", "a.b", "a0", "a_b"]
            .iter()
            .map(|name| component(&name.parse().unwrap()))
            .collect();
        names.sort();
        let plain = names.clone();
        names.sort_by_key(|name| format!("{name}/"));
        assert_eq!(plain, names);
        let back: Vec<_> = names.iter().map(|name| name_of(name).unwrap().to_string()).collect();
        assert_eq!(back, ["a", "a/b", "a-b", "a.b", "a0", "a_b"]);
    }

    #[test]
    fn ids_are_uuids_and_nothing_else_is() {
        let id = UploadId::random().unwrap();
        assert_eq!(UploadId::parse(&id.to_string()), Some(id));
        assert_eq!(UploadId::parse("../../../../../../../../../../../etc"), None);
        assert_eq!(UploadId::parse("00000000-0000-0000-0000-00000000000G"), None);
    }
}
