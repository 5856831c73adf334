//! Image references: `[domain/]path[:tag][@digest]`, with Docker's short forms.

mod grammar;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::{Digest, DigestError};

pub use grammar::{is_path as is_repository_path, is_tag};

/// The domain that a reference without one means.
pub const DEFAULT_DOMAIN: &str = "docker.io";
/// The tag that a reference without one means.
pub const DEFAULT_TAG: &str = "latest";

/// The path that official images have and nobody writes.
const OFFICIAL: &str = "library/";
/// Docker Hub's former name.
const LEGACY_DOMAIN: &str = "index.docker.io";

/// Why a text is no reference. The texts are Docker's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Not of the form of a reference.
    #[error("invalid reference format")]
    Format,
    /// Upper-case letters in the path.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    Uppercase(String),
    /// It would be mistaken for an image id.
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    LooksLikeId(String),
    /// Too long a path.
    #[error("repository name must not be more than {max} characters", max = grammar::MAX_PATH)]
    TooLong,
    /// Not of the form of a tag.
    #[error("invalid tag format")]
    Tag,
    /// Not a digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

/// A reference in its full form: the domain is always there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// What a user may write where an image is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnyReference {
    /// A whole image id, with or without `sha256:`.
    Id(Digest),
    /// A reference.
    Named(Reference),
}

impl AnyReference {
    /// Reads a whole image id or a reference.
    ///
    /// # Errors
    /// [`ReferenceError`], in Docker's words.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if grammar::is_identifier(text)
            && let Ok(id) = Digest::from_sha256_hex(text)
        {
            return Ok(Self::Id(id));
        }
        match text.parse::<Digest>() {
            Ok(id) => Ok(Self::Id(id)),
            Err(_) => Reference::parse(text).map(Self::Named),
        }
    }
}

impl Reference {
    /// Reads a reference as a user writes it: `alpine` is `docker.io/library/alpine` (without a tag: see
    /// [`Reference::with_default_tag`]).
    ///
    /// # Errors
    /// [`ReferenceError`], in Docker's words.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if grammar::is_identifier(text) {
            return Err(ReferenceError::LooksLikeId(text.into()));
        }
        let (domain, rest) = split_domain(text);
        let remote = rest.split(':').next().unwrap_or(&rest);
        if remote.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(ReferenceError::Uppercase(remote.into()));
        }
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) if grammar::is_digest(digest) => (rest, Some(digest.parse::<Digest>()?)),
            Some(_) => return Err(ReferenceError::Format),
            None => (rest.as_str(), None),
        };
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        let tag_fits = tag.is_none_or(is_tag);
        if !grammar::is_domain(&domain) || !grammar::is_path(path) || !tag_fits {
            return Err(ReferenceError::Format);
        }
        if path.len() > grammar::MAX_PATH {
            return Err(ReferenceError::TooLong);
        }
        Ok(Self { domain, path: path.into(), tag: tag.map(Into::into), digest })
    }

    /// The registry: `docker.io`, `localhost:5000`.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository within the registry: `library/alpine`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, when one was written.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, when one was written.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The full repository name: `docker.io/library/alpine`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// The short repository name: `alpine`.
    pub fn familiar_name(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.name();
        }

        match self.path.strip_prefix(OFFICIAL) {
            Some(short) if !short.contains('/') => short.into(),
            _ => self.path.clone(),
        }
    }

    /// The short form, as Docker shows it: `alpine:3.20`.
    pub fn familiar(&self) -> String {
        self.suffixed(self.familiar_name())
    }

    /// Neither a tag nor a digest was written.
    pub fn is_name_only(&self) -> bool {
        self.tag.is_none() && self.digest.is_none()
    }

    /// The same with `:latest` when there is neither tag nor digest.
    #[must_use]
    pub fn with_default_tag(mut self) -> Self {
        if self.is_name_only() {
            self.tag = Some(DEFAULT_TAG.into());
        }
        self
    }

    /// The same repository with this tag and no digest.
    ///
    /// # Errors
    /// [`ReferenceError::Tag`] when `tag` is no tag.
    pub fn with_tag(mut self, tag: &str) -> Result<Self, ReferenceError> {
        if !is_tag(tag) {
            return Err(ReferenceError::Tag);
        }
        self.tag = Some(tag.into());
        self.digest = None;
        Ok(self)
    }

    /// The same repository with this digest and no tag.
    #[must_use]
    pub fn with_digest(mut self, digest: Digest) -> Self {
        self.tag = None;
        self.digest = Some(digest);
        self
    }

    fn suffixed(&self, mut text: String) -> String {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(digest.as_str());
        }
        text
    }
}

impl fmt::Display for Reference {
    /// The full form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.suffixed(self.name()))
    }
}

impl std::str::FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text)
    }
}

/// Splits off the registry by Docker's rule: the first part is one when it has a dot, a colon or an upper-case
/// letter, or is `localhost`.
fn split_domain(text: &str) -> (String, String) {
    let (domain, rest) = match text.split_once('/') {
        Some((first, rest)) if is_registry(first) => (first, rest),
        _ => (DEFAULT_DOMAIN, text),
    };
    let domain = if domain == LEGACY_DOMAIN { DEFAULT_DOMAIN } else { domain };
    if domain == DEFAULT_DOMAIN && !rest.contains('/') {
        return (domain.into(), format!("{OFFICIAL}{rest}"));
    }
    (domain.into(), rest.into())
}

fn is_registry(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.bytes().any(|b| b.is_ascii_uppercase())
}
