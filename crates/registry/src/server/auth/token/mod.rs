//! Bearer tokens: JSON Web Tokens that say what their bearer may (distribution's token specification).

mod der;
mod issue;
mod keys;
mod verify;

use serde::{Deserialize, Serialize};

pub(super) use issue::Issuer;
pub(super) use keys::Keys;
pub(super) use verify::verify;

/// What a token allows of one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Access {
    /// `repository` or `registry`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The repository, or `catalog`.
    pub(crate) name: String,
    /// `pull`, `push`, `delete`, or `*`.
    pub(crate) actions: Vec<String>,
}

/// What a token says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    #[serde(default)]
    pub(super) sub: String,
    pub(super) aud: Audience,
    pub(super) exp: i64,
    #[serde(default)]
    pub(super) nbf: i64,
    #[serde(default)]
    pub(super) iat: i64,
    #[serde(default)]
    pub(super) jti: String,
    #[serde(default)]
    pub(super) access: Option<Vec<Access>>,
}

/// For whom a token is: one name or several.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn names(&self, service: &str) -> bool {
        match self {
            Self::One(name) => name == service,
            Self::Many(names) => names.iter().any(|name| name == service),
        }
    }
}

/// The signature algorithms that are taken. `none` is not one of them, nor is any with a shared secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Es256,
}

impl Algorithm {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            _ => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}
