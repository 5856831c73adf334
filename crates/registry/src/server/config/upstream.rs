//! `[upstream]`: the registry that this one is a cache of.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Retention, Seconds};

/// `[upstream]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// `docker.io`, `registry.example.org:5000`.
    pub registry: String,
    /// Who asks there; nobody in particular when left out.
    pub username: Option<String>,
    /// The file with the password, or an access token in its place.
    pub password: Option<PathBuf>,
    /// A directory with `HOST[:PORT]/` for each registry: Docker's certificates, or containerd's `hosts.toml`.
    pub certs_d: Option<PathBuf>,
    /// Certificates are not checked, and HTTP is used where there is no TLS.
    #[serde(default)]
    pub insecure: bool,
    /// How long a tag is believed to be what it was.
    #[serde(default = "revalidate")]
    pub revalidate: Seconds,
    /// What was not asked for within this time goes.
    pub expire: Option<Seconds>,
}

fn revalidate() -> Seconds {
    Seconds::minutes(5)
}

impl Upstream {
    pub(super) fn anchor(&mut self, base: &Path) {
        for path in self.password.iter_mut().chain(&mut self.certs_d) {
            *path = base.join(&path);
        }
    }

    /// The rule of retention that is the last.
    pub(super) fn expiry(&self) -> Option<Retention> {
        let all = |text: &str| vec![text.to_owned()];
        self.expire.map(|expire| Retention {
            repositories: all("**"),
            tags: all("*"),
            keep_last: None,
            keep_newer: Some(expire),
            untagged: Some(expire),
            dry_run: false,
        })
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.registry.is_empty() || self.registry.contains('/') {
            return Err("upstream.registry is a host, and a port if need be: 'docker.io'".into());
        }
        if self.username.is_some() != self.password.is_some() {
            return Err("upstream.username and upstream.password need each other".into());
        }
        if self.expire.is_some_and(|expire| expire <= self.revalidate) {
            return Err("upstream.expire must be longer than upstream.revalidate".into());
        }
        Ok(())
    }
}
