//! Names of repositories and tags, checked.

use std::fmt;
use std::str::FromStr;

use crate::server::storage::MAX_NAME;

/// A repository's name: `library/alpine`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Box<str>);

/// A tag: `3.20`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Box<str>);

/// Why a text is no name or no tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not of the specification's form of a name.
    #[error(
        "invalid repository name {0:?}: it is made of lower-case words with '.', '_', '__' or '-' inside and '/' between"
    )]
    Name(String),
    /// A name that no file could have.
    #[error("invalid repository name: it has more than {MAX_NAME} bytes")]
    TooLong,
    /// Not of the specification's form of a tag.
    #[error(
        "invalid tag {0:?}: it is made of at most 128 letters, digits, '_', '.' and '-' and begins with neither '.' nor '-'"
    )]
    Tag(String),
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.len() > MAX_NAME {
            return Err(NameError::TooLong);
        }
        if !oci::is_repository_path(text) {
            return Err(NameError::Name(text.into()));
        }
        Ok(Self(text.into()))
    }
}

impl FromStr for Tag {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if !oci::is_tag(text) {
            return Err(NameError::Tag(text.chars().take(128).collect()));
        }
        Ok(Self(text.into()))
    }
}

macro_rules! text {
    ($type:ident) => {
        impl $type {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text!(Name);
text!(Tag);
