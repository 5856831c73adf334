//! Which of the specification's endpoints a path names. Names may have slashes, so paths are read from their end.

use oci::Digest;
use percent_encoding::percent_decode_str;

use crate::server::error::{Code, Error, Result};
use crate::server::name::{Name, Tag};
use crate::server::storage::{ALGORITHMS, UploadId};

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/v2/`: is this a registry, and may I?
    Base,
    /// `/v2/_catalog`
    Catalog,
    /// `/token`, where this registry issues tokens itself.
    Token,
    /// `/ui/`, and `/ui/NAME`: for people.
    Page(Option<Name>),
    /// `/v2/NAME/tags/list`
    Tags(Name),
    /// `/v2/NAME/manifests/REFERENCE`
    Manifest(Name, Reference),
    /// `/v2/NAME/blobs/DIGEST`
    Blob(Name, Digest),
    /// `/v2/NAME/blobs/uploads/`
    Uploads(Name),
    /// `/v2/NAME/blobs/uploads/ID`; no id when it is not of the form of one.
    Upload(Name, Option<UploadId>),
    /// `/v2/NAME/referrers/DIGEST`
    Referrers(Name, Digest),
}

/// How a manifest is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    /// By a tag.
    Tag(Tag),
    /// By its digest.
    Digest(Digest),
    /// By what can't be a tag.
    Invalid(String),
}

impl Route {
    /// Reads a path.
    ///
    /// # Errors
    /// Says what of it is malformed.
    pub(crate) fn parse(path: &str) -> Result<Self> {
        let nothing = || Error::new(Code::NotFound, "nothing of a registry is found at this path");
        let path = percent_decode_str(path).decode_utf8().map_err(|_utf8| nothing())?;
        match path.as_ref() {
            "/v2" | "/v2/" => return Ok(Self::Base),
            "/v2/_catalog" => return Ok(Self::Catalog),
            "/token" => return Ok(Self::Token),
            "/ui" | "/ui/" => return Ok(Self::Page(None)),
            _ => {}
        }
        if let Some(name) = path.strip_prefix("/ui/") {
            return Ok(Self::Page(Some(name.parse()?)));
        }
        let rest = path.strip_prefix("/v2/").ok_or_else(nothing)?;
        let (front, last) = rest.rsplit_once('/').ok_or_else(nothing)?;
        if let Some(name) = front.strip_suffix("/blobs/uploads") {
            let name = name.parse()?;
            return Ok(if last.is_empty() {
                Self::Uploads(name)
            } else {
                Self::Upload(name, UploadId::parse(last))
            });
        }
        if let Some(name) = front.strip_suffix("/blobs") {
            let name = name.parse()?;
            // some clients leave the slash at the end out
            return if last == "uploads" {
                Ok(Self::Uploads(name))
            } else {
                Ok(Self::Blob(name, digest(last)?))
            };
        }
        if let Some(name) = front.strip_suffix("/manifests") {
            return Ok(Self::Manifest(name.parse()?, Reference::parse(last)?));
        }
        if let Some(name) = front.strip_suffix("/referrers") {
            return Ok(Self::Referrers(name.parse()?, digest(last)?));
        }
        match front.strip_suffix("/tags") {
            Some(name) if last == "list" => Ok(Self::Tags(name.parse()?)),
            _ => Err(nothing()),
        }
    }
}

impl Route {
    /// What kind of path it is, for statistics: one of few words.
    pub(crate) fn kind(path: &str) -> &'static str {
        match Self::parse(path) {
            Ok(Self::Base) => "base",
            Ok(Self::Catalog) => "catalog",
            Ok(Self::Token) => "token",
            Ok(Self::Page(_)) => "page",
            Ok(Self::Tags(_)) => "tags",
            Ok(Self::Manifest(..)) => "manifest",
            Ok(Self::Blob(..)) => "blob",
            Ok(Self::Uploads(_) | Self::Upload(..)) => "upload",
            Ok(Self::Referrers(..)) => "referrers",
            Err(_) => "other",
        }
    }
}

impl Reference {
    fn parse(text: &str) -> Result<Self> {
        if text.contains(':') {
            return digest(text).map(Self::Digest);
        }
        Ok(text.parse().map_or_else(|_| Self::Invalid(text.into()), Self::Tag))
    }
}

/// A digest that a client names.
///
/// # Errors
/// When it is none, or of an algorithm that this registry does not compute.
pub(crate) fn digest(text: &str) -> Result<Digest> {
    let shown: String = text.chars().take(160).collect();
    let digest: Digest =
        text.parse().map_err(|error| Error::new(Code::DigestInvalid, format!("{error}: {shown:?}")))?;
    if ALGORITHMS.contains(&digest.algorithm()) {
        return Ok(digest);
    }
    Err(Error::new(
        Code::DigestInvalid,
        format!("{} digests are not supported, use sha256 or sha512", digest.algorithm().as_str()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn paths_are_read_from_their_end() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let blob = Digest::from_sha256_hex(HEX).unwrap();
        for (path, route) in [
            ("/v2/".to_owned(), Route::Base),
            ("/v2/_catalog".into(), Route::Catalog),
            ("/ui/".into(), Route::Page(None)),
            ("/ui/a/b".into(), Route::Page(Some(name("a/b")))),
            ("/v2/a/b/tags/list".into(), Route::Tags(name("a/b"))),
            (format!("/v2/a/blobs/sha256:{HEX}"), Route::Blob(name("a"), blob.clone())),
            (format!("/v2/a/blobs/sha256%3A{HEX}"), Route::Blob(name("a"), blob.clone())),
            ("/v2/a/blobs/uploads/".into(), Route::Uploads(name("a"))),
            ("/v2/a/blobs/uploads".into(), Route::Uploads(name("a"))),
            ("/v2/a/blobs/uploads/x".into(), Route::Upload(name("a"), None)),
            // names may have the words of the protocol in them
            ("/v2/blobs/manifests/tags/list".into(), Route::Tags(name("blobs/manifests"))),
            (format!("/v2/a/referrers/sha256:{HEX}"), Route::Referrers(name("a"), blob.clone())),
            ("/v2/a/manifests/v1".into(), Route::Manifest(name("a"), Reference::Tag("v1".parse().unwrap()))),
            (
                format!("/v2/a/manifests/sha256:{HEX}"),
                Route::Manifest(name("a"), Reference::Digest(blob.clone())),
            ),
            ("/v2/a/manifests/.no".into(), Route::Manifest(name("a"), Reference::Invalid(".no".into()))),
        ] {
            assert_eq!(Route::parse(&path).unwrap(), route, "{path}");
        }
    }

    #[test]
    fn what_is_malformed_is_named() {
        for (path, code) in [
            ("/".to_owned(), Code::NotFound),
            ("/v2/a/tags/lists".into(), Code::NotFound),
            ("/v2/A/tags/list".into(), Code::NameInvalid),
            ("/v2/../../etc/tags/list".into(), Code::NameInvalid),
            ("/v2/%2e%2e/tags/list".into(), Code::NameInvalid),
            (format!("/v2/{}/tags/list", "a".repeat(255)), Code::NameInvalid),
            ("/v2/a/blobs/sha256:x".into(), Code::DigestInvalid),
            (format!("/v2/a/blobs/md5:{HEX}"), Code::DigestInvalid),
            (format!("/v2/a/blobs/sha384:{HEX}{}", &HEX[..32]), Code::DigestInvalid),
        ] {
            assert_eq!(Route::parse(&path).unwrap_err().code, code, "{path}");
        }
    }
}
