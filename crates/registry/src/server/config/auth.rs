//! `[auth]`, `[[rights]]` and `[http.tls]`: who is let in, and what they may.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Seconds;

/// `[http.tls]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM: the server's certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// PEM: its key.
    pub key: PathBuf,
    /// PEM: authorities of which a client must have a certificate.
    pub client_ca: Option<PathBuf>,
}

/// `[auth]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// What password prompts show.
    pub realm: Option<String>,
    /// Users with passwords.
    pub htpasswd: Option<Htpasswd>,
    /// Tokens.
    pub token: Option<Token>,
}

/// `[auth.htpasswd]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Htpasswd {
    /// The file, as `htpasswd -B` writes it.
    pub path: PathBuf,
}

/// `[auth.token]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The name of this registry in tokens.
    pub service: String,
    /// Who issues them.
    pub issuer: String,
    /// Where clients get them; `/token` of this registry when it issues them itself.
    pub realm: Option<String>,
    /// PEM: public keys and certificates whose keys sign tokens.
    #[serde(default)]
    pub keys: Vec<PathBuf>,
    /// JSON Web Key Sets of keys that sign tokens.
    #[serde(default)]
    pub jwks: Vec<PathBuf>,
    /// Issues tokens itself, to the users of `auth.htpasswd` and to nobody in particular.
    pub issue: Option<Issue>,
}

/// `[auth.token.issue]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Issue {
    /// PEM: a private key (PKCS #8; P-256 or RSA); none: one that lives as long as the process.
    pub key: Option<PathBuf>,
    /// How long a token is valid.
    pub lifetime: Seconds,
}

impl Default for Issue {
    fn default() -> Self {
        Self { key: None, lifetime: Seconds::minutes(5) }
    }
}

/// `[[rights]]`: what some users may do with some repositories. All entries that fit count.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rights {
    /// Users: names, `*` for everybody who signed in, `anonymous` for who did not.
    pub users: Vec<String>,
    /// Repositories: `*` stands for a part of a component, `**` for components, too.
    pub repositories: Vec<String>,
    /// What they may.
    pub actions: Vec<Right>,
}

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// Fetch and list.
    Pull,
    /// Upload, mount and put.
    Push,
    /// Delete manifests, tags and blobs.
    Delete,
}

impl Tls {
    pub(super) fn anchor(&mut self, base: &Path) {
        for path in [&mut self.certificate, &mut self.key].into_iter().chain(&mut self.client_ca) {
            *path = base.join(&path);
        }
    }
}

impl Auth {
    pub(super) fn anchor(&mut self, base: &Path) {
        let token = self.token.as_mut();
        let files = token.map(|token| {
            let key = token.issue.as_mut().and_then(|issue| issue.key.as_mut());
            token.keys.iter_mut().chain(&mut token.jwks).chain(key)
        });
        for path in
            self.htpasswd.as_mut().map(|file| &mut file.path).into_iter().chain(files.into_iter().flatten())
        {
            *path = base.join(&path);
        }
    }

    /// Anybody is asked who they are.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.htpasswd.is_some() || self.token.is_some()
    }

    pub(super) fn check(&self, rights: &[Rights]) -> Result<(), String> {
        if !rights.is_empty() && !self.is_on() {
            return Err(
                "[[rights]] without [auth.htpasswd] or [auth.token]: nobody is asked who they are".into()
            );
        }
        for rule in rights {
            for (list, what) in [(&rule.users, "users"), (&rule.repositories, "repositories")] {
                if list.iter().any(String::is_empty) || list.is_empty() {
                    return Err(format!("[[rights]]: {what} names nothing"));
                }
            }
        }
        let Some(token) = &self.token else { return Ok(()) };
        match &token.issue {
            None if token.realm.is_none() => {
                Err("auth.token.realm is missing: where do clients get tokens? ([auth.token.issue]: here)".into())
            }
            None if token.keys.is_empty() && token.jwks.is_empty() => {
                Err("auth.token.keys and auth.token.jwks are missing: whose tokens are good?".into())
            }
            None if !rights.is_empty() && self.htpasswd.is_none() => {
                Err("[[rights]] are for users of auth.htpasswd; the tokens of others say themselves what they allow".into())
            }
            _ => Ok(()),
        }
    }
}
